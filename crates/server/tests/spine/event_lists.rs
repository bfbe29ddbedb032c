//! Lists of planned events: filters, orders, cursors, search.
//!
//! Invariant: both databases give the same rows in the same order.
//! Not here: paging rules that all lists have (`tests/face`).

use crate::bed::{Bed, OPERATOR, code, on_both};
use crate::events::{create, id};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/events";

async fn titles(bed: &Bed, query: &str) -> Vec<String> {
    let reply = bed.get(&format!("{PATH}?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    named(&reply.json())
}

fn named(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().expect("a list").iter();
    rows.map(|row| row["title"].as_str().expect("a title").to_owned()).collect()
}

/// Every page of a list by its cursors; `meanwhile` happens between pages.
async fn walk(bed: &Bed, query: &str, meanwhile: impl AsyncFn()) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = bed.get(&format!("{PATH}?limit=2&{query}{cursor}")).await.json();
        seen.extend(named(&list));
        let Some(next) = list["meta"]["nextCursor"].as_str() else { return seen };
        cursor = format!("&cursor={next}");
        meanwhile().await;
    }
}

async fn fill(bed: &Bed) {
    for (title, start, more) in [
        ("Ähnlich", 30, json!({"eventType": "meetup", "locationType": "virtual"})),
        ("beta 100% vegan", 10, json!({"status": "planning", "isPublic": true, "seekingVendors": true})),
        ("Zebra", 20, json!({"description": "after the Café, 100 guests", "seekingSponsors": true})),
        ("alpha", 20, json!({"status": "planning", "eventType": "meetup", "description": "no beta"})),
        ("Gamma_ray", 40, json!({"status": "active", "locationType": "hybrid", "isPublic": true})),
    ] {
        let mut body = json!({"title": title, "startDate": start});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        create(bed, body).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_shows_an_event_as_it_is_shown_alone() {
    on_both(async |bed: &Bed| {
        let whole = json!({
            "title": "A \"}\" & ü\n\u{7}", "description": "\\ and more", "startDate": 10, "endDate": 20,
            "timezone": "Europe/Berlin", "eventType": "meetup", "locationType": "hybrid", "venueName": "Hall",
            "venueAddress": "Street 1", "virtualPlatform": "https://meet.example", "expectedAttendees": 5, "budget": "10.50",
            "budgetCurrency": "EUR", "isPublic": true, "seekingVendors": true, "vendorCategories": ["Food"],
            "seekingSponsors": true, "sponsorBenefits": "thanks", "requirements": {"power": [1.50, null]},
            "publicVisibility": {"showBudget": true}, "status": "planning",
        });
        for body in [json!({"title": "Plain", "startDate": 1}), whole] {
            let id = id(&create(bed, body).await);
            let alone = bed.get(&format!("{PATH}/{id}")).await.text();
            let alone =
                alone.strip_suffix('}').and_then(|text| text.split_once(r#""data":"#)).expect("data").1;
            for query in ["", "sort=startDate", "sort=title"] {
                let list = bed.get(&format!("{PATH}?{query}")).await.text();
                assert!(list.contains(alone), "{query}: {alone} is not in {list}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_filtered_and_sorted() {
    on_both(async |bed: &Bed| {
        fill(bed).await;
        let newest = ["Gamma_ray", "alpha", "Zebra", "beta 100% vegan", "Ähnlich"];
        assert_eq!(titles(bed, "").await, newest);
        assert_eq!(titles(bed, "status=all&eventType=all").await, newest);
        for (query, expected) in [
            ("sort=createdAt&limit=2", vec!["Ähnlich", "beta 100% vegan"]),
            ("sort=title", vec!["Ähnlich", "alpha", "beta 100% vegan", "Gamma_ray", "Zebra"]),
            ("sort=-title&limit=1", vec!["Zebra"]),
            ("sort=startDate&limit=1", vec!["beta 100% vegan"]),
            ("sort=-startDate&limit=2", vec!["Gamma_ray", "Ähnlich"]),
            ("sort=updatedAt&limit=1", vec!["Ähnlich"]),
            ("status=planning", vec!["alpha", "beta 100% vegan"]),
            ("status=planning&eventType=meetup", vec!["alpha"]),
            ("locationType=hybrid", vec!["Gamma_ray"]),
            ("isPublic=true", vec!["Gamma_ray", "beta 100% vegan"]),
            ("seekingVendors=true", vec!["beta 100% vegan"]),
            ("seekingSponsors=true", vec!["Zebra"]),
            ("from=20&to=30&sort=title", vec!["Ähnlich", "alpha", "Zebra"]),
            ("page=2&limit=2", vec!["Zebra", "beta 100% vegan"]),
            ("page=99", vec![]),
        ] {
            assert_eq!(titles(bed, query).await, expected, "{query}");
        }
        let cut = bed.get(&format!("{PATH}?limit=1&fields=title")).await.json();
        assert_eq!(cut["data"][0].as_object().unwrap().len(), 3, "{cut}");
        for query in
            ["status=ready", "locationType=cave", "isPublic=perhaps", "sort=budget", "from=x", "cursor=x"]
        {
            let refused = bed.get(&format!("{PATH}?{query}")).await;
            assert_eq!((refused.status, code(&refused).as_str()), (400, "VALIDATION_ERROR"), "{query}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_found_by_their_beginnings_and_signs_as_they_are() {
    on_both(async |bed: &Bed| {
        fill(bed).await;
        for (query, expected) in [
            ("search=BETA", vec!["beta 100% vegan", "alpha"]),
            ("search=be", vec!["beta 100% vegan", "alpha"]),
            ("search=cafe", vec!["Zebra"]),
            ("search=%C3%A4hn", vec!["Ähnlich"]),
            ("search=ahn", vec!["Ähnlich"]),
            ("search=100%25", vec!["beta 100% vegan"]),
            ("search=100", vec!["beta 100% vegan", "Zebra"]),
            ("search=vegan+beta", vec!["beta 100% vegan"]),
            ("search=%25", vec!["beta 100% vegan"]),
            ("search=_", vec!["Gamma_ray"]),
            ("search=a_r", vec![]),
            ("search=gamma_r", vec!["Gamma_ray"]),
            ("search=eta", vec![]),
            ("search=beta&status=draft", vec![]),
            ("search=meetup&sort=title", vec!["Ähnlich", "alpha"]),
            ("search=%22%27)*:-", vec![]),
        ] {
            assert_eq!(titles(bed, query).await, expected, "{query}");
        }
        let total = bed.get(&format!("{PATH}?search=beta&limit=1")).await.json()["meta"]["total"].clone();
        assert_eq!(total, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_found_as_it_is_now() {
    on_both(async |bed: &Bed| {
        let event = create(bed, json!({"title": "Before", "startDate": 5})).await;
        let id = crate::events::id(&event);

        let changed = crate::events::patch(bed, &id, json!({"title": "After"}), &[]).await;
        let found = (titles(bed, "search=before").await, titles(bed, "search=after").await);
        let gone = bed.send("DELETE", &format!("{PATH}/{id}"), &[OPERATOR], "").await;

        assert_eq!((changed.status, gone.status), (200, 200));
        assert_eq!(found, (vec![], vec!["After".to_owned()]));
        assert_eq!(titles(bed, "search=after").await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_neither_skips_nor_repeats_while_events_are_added() {
    on_both(async |bed: &Bed| {
        fill(bed).await;
        let before = titles(bed, "").await;
        let add = async || drop(create(bed, json!({"title": "late beta", "startDate": 25})).await);
        let nothing = async || {};

        let by_title = walk(bed, "sort=title", nothing).await;
        let found = walk(bed, "search=b", nothing).await;
        let newest = walk(bed, "", add).await;

        assert_eq!(newest, before);
        assert_eq!(by_title, ["Ähnlich", "alpha", "beta 100% vegan", "Gamma_ray", "Zebra"]);
        assert_eq!(found, ["beta 100% vegan", "alpha"]);
        let found = walk(bed, "search=beta", nothing).await;
        assert_eq!(found, ["late beta", "late beta", "beta 100% vegan", "alpha"]);
        let other = bed.get(&format!("{PATH}?limit=1")).await.json()["meta"]["nextCursor"].clone();
        let other = other.as_str().expect("a cursor");
        let refused = bed.get(&format!("{PATH}?sort=title&cursor={other}")).await;
        assert_eq!(refused.status, 400, "a cursor belongs to its order");
    })
    .await;
}
