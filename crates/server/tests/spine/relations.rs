//! Relations of planned events to vendors and sponsors.
//!
//! Invariant: what a relation does to the budget and what is told of it happen with it or not at all.
//! Not here: the moves one by one (the domain's own tests), applications.

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use crate::events::{create, id};
use openevent_testkit::Reply;
use serde_json::{Value, json};

pub(crate) async fn event(bed: &Bed, more: Value) -> String {
    let mut body = json!({"title": "T", "startDate": 5, "status": "planning", "budgetCurrency": "EUR"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    format!("/api/v1/events/{}", id(&create(bed, body).await))
}

/// An approved entry's id.
pub(crate) async fn entry(bed: &Bed, folder: &str, body: Value) -> String {
    let id = id(&bed.post(&format!("/api/v1/{folder}"), &body).await.json()["data"]);
    let approved = bed.send("POST", &format!("/api/v1/{folder}/{id}/approve"), &[OPERATOR], "").await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    id
}

pub(crate) async fn vendor(bed: &Bed) -> String {
    entry(bed, "vendors", json!({"name": "Cakes", "category": "catering", "contactEmail": "a@cakes.example"}))
        .await
}

pub(crate) async fn sponsor(bed: &Bed) -> String {
    entry(bed, "sponsors", json!({"name": "Bank", "industry": "finance"})).await
}

pub(crate) async fn patch(bed: &Bed, path: &str, body: Value) -> Reply {
    bed.send("PATCH", path, &[OPERATOR, JSON], body.to_string()).await
}

/// The payloads of the signals of a name, the newest first.
pub(crate) async fn told(bed: &Bed, name: &str) -> Vec<Value> {
    let list = bed.data(&format!("/api/v1/signals?limit=100&name={name}")).await;
    list.as_array().expect("a list").iter().map(|one| one["payload"].clone()).collect()
}

/// Relates, and answers where the relation is.
async fn relate(bed: &Bed, folder: &str, body: Value) -> String {
    let made = bed.post(folder, &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    format!("{folder}/{}", id(&made.json()["data"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_fills_the_budget_and_is_told_once() {
    on_both(async |bed: &Bed| {
        let (event, vendor) = (event(bed, json!({})).await, vendor(bed).await);
        let body = json!({"vendorId": vendor, "proposedBudget": 12.5, "notes": " n ", "odd": 1});
        let made = bed.post(&format!("{event}/vendors"), &body).await;
        let path = format!("{event}/vendors/{}", id(&made.json()["data"]));

        let confirmed = patch(bed, &path, json!({"status": "confirmed"})).await;
        let again = patch(bed, &path, json!({"status": "confirmed"})).await;
        let item = bed.data(&format!("{event}/budget")).await[0].clone();
        let dearer = patch(bed, &path, json!({"finalBudget": "13.5"})).await;
        let items = bed.data(&format!("{event}/budget")).await;
        let declined = patch(bed, &path, json!({"status": "declined"})).await;

        let data = made.json()["data"].clone();
        assert_eq!((made.status, made.header("location")), (201, Some(path.as_str())));
        assert_eq!(made.json()["meta"], json!({"created": true, "ignoredFields": ["odd"]}));
        assert_eq!(
            (&data["status"], &data["vendorName"], &data["notes"]),
            (&json!("inquiry"), &json!("Cakes"), &json!("n"))
        );
        assert_eq!((confirmed.status, again.status), (200, 200));
        assert_eq!(confirmed.header("etag"), again.header("etag"));
        assert_eq!(
            (&item["category"], &item["name"], &item["currency"]),
            (&json!("catering"), &json!("Cakes"), &json!("EUR"))
        );
        assert_eq!((&item["status"], &item["estimatedAmount"]), (&json!("committed"), &json!(12.5)));
        assert_eq!(
            (&item["vendorId"], &confirmed.json()["data"]["budgetItemId"]),
            (&json!(vendor), &item["id"])
        );
        assert_eq!((dearer.status, &items[0]["estimatedAmount"]), (200, &json!(13.5)));
        assert_eq!((items.as_array().map(Vec::len), declined.status), (Some(1), 200));
        assert_eq!(bed.data(&format!("{event}/budget")).await[0]["status"], "cancelled");
        let confirmations = told(bed, "vendor.confirmed").await;
        assert_eq!((confirmations.len(), &confirmations[0]["vendorId"]), (1, &json!(vendor)));
        assert_eq!(
            (&confirmations[0]["amount"], &confirmations[0]["vendorName"]),
            (&json!(12.5), &json!("Cakes"))
        );
        assert_eq!(told(bed, "vendor.declined").await[0]["previousStatus"], "confirmed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_keeps_what_somebody_wrote_and_takes_over_what_they_planned() {
    on_both(async |bed: &Bed| {
        let (event, vendor) = (event(bed, json!({})).await, vendor(bed).await);
        let planned = json!({"category": "food", "name": "Cake", "estimatedAmount": 10, "vendorId": vendor});
        let item = format!(
            "{event}/budget/{}",
            id(&bed.post(&format!("{event}/budget"), &planned).await.json()["data"])
        );
        let terms = json!({"vendorId": vendor, "status": "confirmed", "finalBudget": 9});

        let relation = relate(bed, &format!("{event}/vendors"), terms.clone()).await;
        let taken_over = bed.data(&item).await;
        let gone = bed.send("DELETE", &relation, &[OPERATOR], "").await;
        let cancelled = bed.data(&item).await;
        let relation = relate(bed, &format!("{event}/vendors"), terms).await;
        let fresh = bed.data(&format!("{event}/budget?status=committed")).await[0].clone();
        let fresh = format!("{event}/budget/{}", id(&fresh));
        patch(bed, &fresh, json!({"actualAmount": 8, "status": "paid"})).await;
        patch(bed, &relation, json!({"status": "declined"})).await;

        assert_eq!((&taken_over["status"], &taken_over["estimatedAmount"]), (&json!("committed"), &json!(9)));
        assert_eq!((&taken_over["name"], gone.status), (&json!("Cake"), 200));
        assert_eq!(cancelled["status"], "cancelled");
        assert_eq!(bed.data(&fresh).await["status"], "paid", "what is paid stays");
        assert_eq!(bed.data(&format!("{event}/budget")).await.as_array().map(Vec::len), Some(2));
        assert_eq!(told(bed, "vendor.declined").await.len(), 1, "a removal is not a decline");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relation_is_one_for_a_pair_and_to_somebody_of_the_directory() {
    on_both(async |bed: &Bed| {
        let (event, vendor, sponsor) = (event(bed, json!({})).await, vendor(bed).await, sponsor(bed).await);
        let hidden = bed.post("/api/v1/vendors", &json!({"name": "New", "category": "c"})).await.json()["data"].clone();
        let key = bed.key(&["events:write"]).await;
        let key = [("x-api-key", key.as_str()), JSON];
        let path = format!("{event}/vendors");

        let first = bed.post(&path, &json!({"vendorId": vendor})).await;
        let second = bed.post(&path, &json!({"vendorId": vendor})).await;
        for odd in [json!(sponsor), json!("x"), hidden["id"].clone(), json!(null), json!(7)] {
            let body = json!({"vendorId": odd, "status": "completed", "proposedBudget": -1});
            let refused = bed.send("POST", &path, &key, body.to_string()).await;
            assert_eq!((refused.status, code(&refused).as_str()), (400, "VALIDATION_ERROR"), "{odd}");
            assert_eq!(refused.json()["error"]["details"].as_array().map(Vec::len), Some(3), "{odd}");
        }
        let by_admin = bed.post(&path, &json!({"vendorId": hidden["id"]})).await;
        let given = json!({"sponsorId": sponsor, "tier": "gold", "amount": 1000, "benefits": "logo", "status": "confirmed"});
        let given = bed.post(&format!("{event}/sponsors"), &given).await;
        let given_path = format!("{event}/sponsors/{}", id(&given.json()["data"]));

        assert_eq!((first.status, second.status, code(&second).as_str()), (201, 409, "CONFLICT"));
        assert_eq!(by_admin.status, 201, "an admin sees whom nobody approved");
        assert_eq!((given.status, &given.json()["data"]["sponsorName"]), (201, &json!("Bank")));
        let told = told(bed, "sponsor.confirmed").await;
        assert_eq!((told.len(), &told[0]["amount"], &told[0]["tier"]), (1, &json!(1000), &json!("gold")));
        assert_eq!(bed.data(&format!("{event}/budget")).await, json!([]), "what sponsors give costs nothing");
        let over = patch(bed, &given_path, json!({"status": "completed"})).await;
        let back = patch(bed, &given_path, json!({"status": "inquiry", "tier": "silver"})).await;
        for refused in [over, back] {
            assert_eq!((refused.status, code(&refused).as_str()), (400, "BAD_REQUEST"));
        }
        assert_eq!(bed.data(&given_path).await["tier"], "gold", "all or nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relations_are_listed_by_status_and_page_and_guarded_by_their_tag() {
    on_both(async |bed: &Bed| {
        let event = event(bed, json!({})).await;
        let path = format!("{event}/vendors");
        let mut made = Vec::new();
        for n in 0..5 {
            let vendor = entry(bed, "vendors", json!({"name": format!("V{n}"), "category": "c"})).await;
            let status = if n % 2 == 0 { "negotiating" } else { "inquiry" };
            made.push(relate(bed, &path, json!({"vendorId": vendor, "status": status})).await);
        }
        let names = |list: &Value| -> Vec<String> {
            let rows = list["data"].as_array().expect("a list").iter();
            rows.map(|row| row["vendorName"].as_str().expect("a name").to_owned()).collect()
        };

        let first = bed.get(&format!("{path}?status=negotiating&limit=2")).await.json();
        let cursor = first["meta"]["nextCursor"].as_str().expect("a cursor");
        let rest = bed.get(&format!("{path}?status=negotiating&limit=2&cursor={cursor}")).await.json();
        let odd = bed.get(&format!("{path}?status=maybe")).await;
        let stale = [OPERATOR, JSON, ("if-match", "\"7\"")];
        let stale_patch = bed.send("PATCH", &made[0], &stale, r#"{"notes":"x"}"#).await;
        let stale_delete = bed.send("DELETE", &made[0], &stale[..], "").await;
        let empty = patch(bed, &made[0], json!({})).await;

        assert_eq!(
            (names(&first), &first["meta"]["total"]),
            (vec!["V4".to_owned(), "V2".to_owned()], &json!(3))
        );
        assert_eq!(names(&rest), ["V0"]);
        assert_eq!((odd.status, stale_patch.status, stale_delete.status, empty.status), (400, 412, 412, 400));
        assert_eq!(bed.send("DELETE", &made[0], &[OPERATOR], "").await.status, 200);
        assert_eq!(bed.get(&made[0]).await.status, 404);
        assert_eq!(bed.get(&made[1].replace("/vendors/", "/sponsors/")).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_event_with_somebody_confirmed_is_not_deleted() {
    on_both(async |bed: &Bed| {
        for (folder, field) in [("vendors", "vendorId"), ("sponsors", "sponsorId")] {
            let event = event(bed, json!({"status": "active"})).await;
            let party = if folder == "vendors" { vendor(bed).await } else { sponsor(bed).await };
            let relation =
                relate(bed, &format!("{event}/{folder}"), json!({field: party, "status": "confirmed"})).await;

            let refused = bed.send("DELETE", &event, &[OPERATOR], "").await;
            let declined = patch(bed, &relation, json!({"status": "declined"})).await;
            let gone = bed.send("DELETE", &event, &[OPERATOR], "").await;

            assert_eq!((refused.status, code(&refused).as_str()), (400, "BAD_REQUEST"));
            assert_eq!((declined.status, gone.status), (200, 200));
            assert_eq!(bed.get(&relation).await.status, 404);
        }
        assert_eq!(told(bed, "event.deleted").await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_confirmation_and_a_deletion_at_once_do_not_both_win() {
    on_both(async |bed: &Bed| {
        let vendor = vendor(bed).await;
        for _ in 0..5 {
            let event = event(bed, json!({"status": "active"})).await;
            let relation = relate(bed, &format!("{event}/vendors"), json!({"vendorId": vendor})).await;

            let (confirmed, gone) = tokio::join!(
                patch(bed, &relation, json!({"status": "confirmed"})),
                bed.send("DELETE", &event, &[OPERATOR], ""),
            );

            let outcome = (confirmed.status, gone.status);
            assert!(matches!(outcome, (200, 400) | (404, 200)), "{outcome:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_asks_everybody_again_who_did_not_decline() {
    on_both(async |bed: &Bed| {
        let (event, vendor, sponsor) = (event(bed, json!({})).await, vendor(bed).await, sponsor(bed).await);
        let other = entry(bed, "vendors", json!({"name": "No", "category": "c"})).await;
        let path = format!("{event}/vendors");
        let terms = json!({"vendorId": vendor, "status": "confirmed", "proposedBudget": 5, "finalBudget": 4});
        relate(bed, &path, terms).await;
        relate(bed, &path, json!({"vendorId": other, "status": "declined"})).await;
        relate(bed, &format!("{event}/sponsors"), json!({"sponsorId": sponsor, "tier": "gold"})).await;
        let before = bed.signals_total().await;

        let copy = bed.post(&format!("{event}/clone"), &json!({"copy": ["vendors", "sponsors"]})).await;

        assert_eq!(copy.status, 201, "{}", copy.text());
        let copy = format!("/api/v1/events/{}", id(&copy.json()["data"]));
        let vendors = bed.data(&format!("{copy}/vendors")).await;
        assert_eq!(vendors.as_array().map(Vec::len), Some(1));
        assert_eq!((&vendors[0]["status"], &vendors[0]["proposedBudget"]), (&json!("inquiry"), &json!(5)));
        assert!(vendors[0].get("finalBudget").is_none() && vendors[0].get("budgetItemId").is_none());
        assert_eq!(bed.data(&format!("{copy}/sponsors")).await[0]["tier"], "gold");
        assert_eq!(bed.signals_total().await, before + 1, "nobody is confirmed or declined by a copy");
    })
    .await;
}
