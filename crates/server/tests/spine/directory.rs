//! The directory of vendors and sponsors, and what the public sees of it and of events.
//!
//! Invariant: what is hidden is neither shown nor found.
//! Not here: reading fields one by one (the domain's own tests).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use crate::events::{create, id};
use serde_json::{Value, json};

async fn vendor(bed: &Bed, body: Value) -> String {
    let reply = bed.post("/api/v1/vendors", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let path = format!("/api/v1/vendors/{}", id(&reply.json()["data"]));
    assert_eq!(reply.header("location"), Some(path.as_str()));
    path
}

async fn names(bed: &Bed, path: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let reply = bed.send("GET", path, headers, "").await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    let list = reply.json()["data"].as_array().expect("a list").clone();
    list.iter()
        .map(|one| one["name"].as_str().or(one["title"].as_str()).expect("a name").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_seen_once_it_is_approved_and_its_contacts_with_a_key_only() {
    on_both(async |bed: &Bed| {
        let key = bed.key(&["vendors:read"]).await;
        let key = ("x-api-key", key.as_str());
        let cakes = json!({"name": "Cakes", "category": "Catering", "contactEmail": "a@b.example", "rating": 4.5,
            "reviewNotes": "rich", "insurance": "none"});
        let path = vendor(bed, cakes).await;
        let before = (names(bed, "/api/v1/vendors", &[key]).await, bed.send("GET", &path, &[key], "").await.status);
        let pending = names(bed, "/api/v1/vendors?status=pending", &[OPERATOR]).await;
        let theirs = bed.send("GET", "/api/v1/vendors?status=pending", &[key], "").await;

        let approved = bed.send("POST", &format!("{path}/approve"), &[OPERATOR], "").await;

        assert_eq!((before, pending), ((vec![], 404), vec!["Cakes".to_owned()]));
        assert_eq!((theirs.status, code(&theirs).as_str()), (403, "FORBIDDEN"));
        assert_eq!((approved.status, &approved.json()["data"]["status"]), (200, &json!("approved")));
        for who in [key, OPERATOR] {
            let alone = bed.send("GET", &path, &[who], "").await.text();
            let alone = alone.strip_suffix('}').and_then(|text| text.split_once(r#""data":"#)).expect("data").1;
            for list in ["/api/v1/vendors", "/api/v1/vendors?search=cak"] {
                let list = bed.send("GET", list, &[who], "").await.text();
                assert!(list.contains(alone), "{alone} is not in {list}");
            }
        }
        let seen = bed.send("GET", &path, &[key], "").await.json()["data"].clone();
        assert_eq!((&seen["contactEmail"], &seen["rating"]), (&json!("a@b.example"), &json!(4.5)));
        assert!(seen.get("reviewNotes").is_none() && seen.get("insurance").is_none(), "{seen}");
        let public = bed.send("GET", "/api/v1/public/vendors?category=catering", &[], "").await.json();
        assert_eq!((&public["data"][0]["name"], &public["meta"]["total"]), (&json!("Cakes"), &json!(1)));
        assert!(public["data"][0].get("contactEmail").is_none(), "{public}");
        for path in ["/api/v1/public/vendors/categories", "/api/v1/vendors/categories"] {
            assert_eq!(bed.send("GET", path, &[key], "").await.json()["data"], json!(["Catering"]));
        }
        let edited = bed.send("PATCH", &path, &[OPERATOR, JSON], r#"{"name":"Pies"}"#).await;
        let refused = bed.send("PATCH", &path, &[key, JSON], r#"{"name":"Mine"}"#).await;
        let rejected = bed.post(&format!("{path}/reject"), &json!({"reason": "closed"})).await;
        assert_eq!((edited.status, refused.status, rejected.status), (200, 403, 200));
        assert_eq!(rejected.json()["data"]["rejectionReason"], "closed");
        assert_eq!(names(bed, "/api/v1/public/vendors", &[]).await, Vec::<String>::new());
        assert_eq!(bed.send("GET", &path, &[key], "").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_is_searched_with_filters_and_the_sides_are_apart() {
    on_both(async |bed: &Bed| {
        for (name, category, description) in [
            ("Café Größe", "catering", "cakes"),
            ("Cakes", "catering", "100% sweet"),
            ("Lights", "stage", "no cakes"),
        ] {
            let path =
                vendor(bed, json!({"name": name, "category": category, "description": description})).await;
            assert_eq!(bed.send("POST", &format!("{path}/approve"), &[OPERATOR], "").await.status, 200);
        }
        let bank =
            json!({"name": "Bank of Cakes", "industry": "finance", "budgetMin": 5, "contactName": "Ada"});
        let bank = bed.post("/api/v1/sponsors", &bank).await.json()["data"].clone();
        let path = format!("/api/v1/sponsors/{}", id(&bank));
        assert_eq!(bed.send("POST", &format!("{path}/approve"), &[OPERATOR], "").await.status, 200);

        for (query, expected) in [
            ("search=cakes", vec!["Cakes", "Lights", "Café Größe"]),
            ("search=cakes&category=catering", vec!["Cakes", "Café Größe"]),
            ("search=grosse", vec!["Café Größe"]),
            ("search=100%25", vec!["Cakes"]),
            ("search=%25&limit=1", vec!["Cakes"]),
            ("search=_", vec![]),
            ("category=stage", vec!["Lights"]),
            ("category=all&limit=2", vec!["Lights", "Cakes"]),
        ] {
            assert_eq!(
                names(bed, &format!("/api/v1/vendors?{query}"), &[OPERATOR]).await,
                expected,
                "{query}"
            );
            assert_eq!(
                names(bed, &format!("/api/v1/public/vendors?{query}"), &[]).await,
                expected,
                "{query}"
            );
        }
        let first = bed.get("/api/v1/vendors?search=cakes&limit=1").await.json();
        let next = first["meta"]["nextCursor"].as_str().expect("a cursor").to_owned();
        let rest = format!("/api/v1/vendors?search=cakes&limit=5&cursor={next}");
        assert_eq!(names(bed, &rest, &[OPERATOR]).await, ["Lights", "Café Größe"]);
        assert_eq!(names(bed, "/api/v1/sponsors?industry=finance", &[OPERATOR]).await, ["Bank of Cakes"]);
        assert_eq!(bed.data("/api/v1/sponsors/industries").await, json!(["finance"]));
        let crossed = bed.get(&format!("/api/v1/vendors/{}", id(&bank))).await;
        assert_eq!(crossed.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_sees_what_wants_to_be_seen() {
    on_both(async |bed: &Bed| {
        let shown = json!({"title": "Open", "startDate": 5, "status": "active", "isPublic": true, "budget": 7,
            "venueName": "Hall", "venueAddress": "Secret street", "expectedAttendees": 9, "eventType": "meetup",
            "seekingVendors": true, "publicVisibility": {"showBudget": true}});
        let open = create(bed, shown).await;
        create(bed, json!({"title": "Private", "startDate": 5, "status": "active"})).await;
        create(bed, json!({"title": "Early", "startDate": 5, "isPublic": true})).await;
        let test = bed.app.keyring.operator().project_id.clone();
        let test = bed.key_of(&test, openevent_domain::tenant::Environment::Test, &["events:write"]).await;
        let body = r#"{"title":"Trial","startDate":5,"status":"active","isPublic":true}"#;
        assert_eq!(bed.ingest(&[("x-api-key", &test), JSON], body).await.status, 201);

        let list = bed.send("GET", "/api/v1/public/events", &[], "").await.json();
        let path = format!("/api/v1/public/events/{}", id(&open));
        let one = bed.send("GET", &path, &[], "").await.json()["data"].clone();
        let calendar = bed.send("GET", "/api/v1/public/events.ics", &[], "").await;

        assert_eq!(list["data"], json!([one]));
        assert_eq!((&one["budget"], &one["title"], &one["status"]), (&json!(7), &json!("Open"), &json!("active")));
        for hidden in ["venueName", "venueAddress", "expectedAttendees", "createdBy", "publicVisibility"] {
            assert!(one.get(hidden).is_none(), "{hidden}");
        }
        assert!(calendar.text().contains("SUMMARY:Open") && !calendar.text().contains("Hall"));
        for (query, expected) in [
            ("search=secret", vec![]),
            ("search=hall", vec![]),
            ("search=open", vec!["Open"]),
            ("eventType=meetup&seekingVendors=true", vec!["Open"]),
            ("seekingSponsors=true", vec![]),
            ("status=planning", vec![]),
            ("isPublic=false", vec!["Open"]),
        ] {
            assert_eq!(names(bed, &format!("/api/v1/public/events?{query}"), &[]).await, expected, "{query}");
        }
        let draft = bed.send("GET", "/api/v1/public/events?status=draft", &[], "").await;
        assert_eq!((draft.status, code(&draft).as_str()), (400, "VALIDATION_ERROR"));
        let over = bed.send("PATCH", &path.replace("/public", ""), &[OPERATOR, JSON], r#"{"status":"completed"}"#).await;
        assert_eq!((over.status, bed.send("GET", &path, &[], "").await.status), (200, 404));
    })
    .await;
}
