//! Applications: to the directory and to events, and what organisers decide.
//!
//! Invariant: a decision, its relation and its signal are there together or not at all, whoever decides at the same time.
//! Not here: limits of the intake (`tests/face`), the moves one by one (the domain's own tests).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use crate::events::id;
use crate::relations::{entry, event, patch, sponsor, told, vendor};
use openevent_testkit::Reply;
use serde_json::{Value, json};

async fn open_event(bed: &Bed) -> String {
    event(bed, json!({"isPublic": true, "seekingVendors": true, "status": "active"})).await
}

/// Sends without any credential.
async fn send(bed: &Bed, path: &str, body: &Value) -> Reply {
    bed.send("POST", path, &[JSON], body.to_string()).await
}

fn intake(event: &str) -> String {
    format!("{}/applications", event.replace("/api/v1/", "/api/v1/public/"))
}

fn wish(vendor: &str) -> Value {
    json!({"applicantType": "vendor", "applicantId": vendor, "contactName": "Ada", "contactEmail": "ada@x.example",
        "proposedBudget": 30, "message": "We bake"})
}

/// Applies; answers the application's path for organisers, and its token.
async fn applied(bed: &Bed, event: &str, body: &Value) -> (String, String) {
    let taken = send(bed, &intake(event), body).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    let data = taken.json()["data"].clone();
    (format!("{event}/applications/{}", id(&data)), data["statusToken"].as_str().expect("a token").to_owned())
}

async fn status(bed: &Bed, token: &str) -> Value {
    let reply = bed.send("GET", &format!("/api/v1/public/applications/{token}"), &[], "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_accepted_is_confirmed_and_stands_in_the_budget() {
    on_both(async |bed: &Bed| {
        let (event, vendor) = (open_event(bed).await, vendor(bed).await);

        let (path, token) = applied(bed, &event, &wish(&vendor)).await;
        let twice = send(bed, &intake(&event), &wish(&vendor)).await;
        let seen = bed.data(&path).await;
        let review = patch(bed, &path, json!({"status": "under_review"})).await;
        let accepted = patch(bed, &path, json!({"status": "accepted"})).await;
        let again = patch(bed, &path, json!({"status": "accepted"})).await;
        let turned = patch(bed, &path, json!({"status": "rejected"})).await;
        let late = send(bed, &intake(&event), &wish(&vendor)).await;

        assert_eq!((twice.status, code(&twice).as_str()), (409, "CONFLICT"));
        assert_eq!(
            (&seen["status"], &seen["verified"], &seen["applicantName"]),
            (&json!("pending"), &json!(false), &json!("Cakes"))
        );
        assert!(!seen.to_string().contains(&token), "organisers do not see the token");
        assert_eq!((review.status, &review.json()["data"]["status"]), (200, &json!("under_review")));
        assert_eq!((accepted.status, again.status, turned.status), (200, 200, 400));
        assert_eq!(accepted.json()["data"], again.json()["data"]);
        assert_eq!((late.status, code(&turned).as_str()), (409, "BAD_REQUEST"));
        let relation = bed.data(&format!("{event}/vendors")).await[0].clone();
        assert_eq!((&relation["status"], &relation["proposedBudget"]), (&json!("confirmed"), &json!(30)));
        assert_eq!(accepted.json()["data"]["relationId"], relation["id"]);
        let item = bed.data(&format!("{event}/budget")).await[0].clone();
        assert_eq!((&item["estimatedAmount"], &item["status"]), (&json!(30), &json!("committed")));
        let (came, confirmed) = (told(bed, "vendor.applied").await, told(bed, "vendor.confirmed").await);
        assert_eq!((came.len(), confirmed.len()), (1, 1));
        assert_eq!((&came[0]["message"], &confirmed[0]["applicationId"]), (&json!("We bake"), &seen["id"]));
        assert_eq!(status(bed, &token).await["status"], "accepted");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_rejected_is_told_why_and_may_apply_again() {
    on_both(async |bed: &Bed| {
        let (event, vendor) = (open_event(bed).await, vendor(bed).await);
        let (first, token) = applied(bed, &event, &wish(&vendor)).await;

        let odd = patch(bed, &first, json!({"status": "accepted", "rejectionReason": "x"})).await;
        let rejected =
            patch(bed, &first, json!({"status": "rejected", "rejectionReason": "too sweet"})).await;
        bed.forward(1);
        let mut wish = wish(&vendor);
        wish["contactEmail"] = json!("A@Cakes.example");
        let (second, _) = applied(bed, &event, &wish).await;
        let seen = bed.data(&second).await;
        let rejected_again = patch(bed, &second, json!({"status": "rejected"})).await;
        let seen_by_applicant = status(bed, &token).await;

        assert_eq!((odd.status, code(&odd).as_str()), (400, "VALIDATION_ERROR"));
        assert_eq!((rejected.status, rejected_again.status), (200, 200));
        assert_eq!((&seen["verified"], &seen_by_applicant["status"]), (&json!(true), &json!("rejected")));
        assert_eq!(seen_by_applicant["rejectionReason"], "too sweet");
        assert_eq!(
            (&seen_by_applicant["eventTitle"], &seen_by_applicant["applicantName"]),
            (&json!("T"), &json!("Cakes"))
        );
        assert!(seen_by_applicant.get("contactEmail").is_none());
        assert_eq!(bed.data(&format!("{event}/vendors")).await[0]["status"], "declined");
        assert_eq!(bed.data(&format!("{event}/vendors")).await.as_array().map(Vec::len), Some(1));
        assert_eq!(told(bed, "vendor.declined").await.len(), 2, "once for each application");
        for (query, count) in
            [("status=rejected", 2), ("status=pending", 0), ("applicantType=sponsor", 0), ("status=all", 2)]
        {
            let list = bed.data(&format!("{event}/applications?{query}")).await;
            assert_eq!(list.as_array().map(Vec::len), Some(count), "{query}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_needs_an_event_that_seeks_it_and_somebody_approved() {
    on_both(async |bed: &Bed| {
        let (open, vendor, sponsor) = (open_event(bed).await, vendor(bed).await, sponsor(bed).await);
        let hidden = event(bed, json!({"seekingVendors": true})).await;
        let draft = event(bed, json!({"isPublic": true, "seekingVendors": true, "status": "draft"})).await;
        let pending =
            bed.post("/api/v1/vendors", &json!({"name": "New", "category": "c"})).await.json()["data"]
                .clone();
        let as_sponsor = json!({"applicantType": "sponsor", "applicantId": sponsor, "contactName": "Ada",
            "contactEmail": "a@b.example"});

        for event in [&hidden, &draft, &"/api/v1/events/evt_x".to_owned()] {
            let refused = send(bed, &intake(event), &wish(&vendor)).await;
            assert_eq!((refused.status, code(&refused).as_str()), (404, "NOT_FOUND"), "{event}");
        }
        let unsought = send(bed, &intake(&open), &as_sponsor).await;
        let unapproved = send(bed, &intake(&open), &wish(pending["id"].as_str().expect("an id"))).await;
        let other_side = send(bed, &intake(&open), &wish(&sponsor)).await;
        let wrong =
            send(bed, &intake(&open), &json!({"applicantType": "guest", "proposedBudget": "much"})).await;

        assert_eq!((unsought.status, code(&unsought).as_str()), (400, "BAD_REQUEST"));
        for refused in [unapproved, other_side] {
            assert_eq!(refused.json()["error"]["details"][0]["field"], "applicantId");
        }
        assert_eq!(wrong.json()["error"]["details"].as_array().map(Vec::len), Some(5));
        assert_eq!(told(bed, "vendor.applied").await, Vec::<Value>::new());
        let nobody = bed.send("GET", "/api/v1/public/applications/00", &[], "").await;
        assert_eq!((nobody.status, code(&nobody).as_str()), (404, "NOT_FOUND"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_decisions_at_once_one_is_made() {
    on_both(async |bed: &Bed| {
        let event = open_event(bed).await;
        for n in 1..=5 {
            let vendor = entry(bed, "vendors", json!({"name": format!("V{n}"), "category": "c"})).await;
            let (path, _) = applied(bed, &event, &wish(&vendor)).await;

            let (yes, no) = tokio::join!(
                patch(bed, &path, json!({"status": "accepted"})),
                patch(bed, &path, json!({"status": "rejected"})),
            );

            let mut statuses = [yes.status, no.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400]);
            let (confirmed, declined) =
                (told(bed, "vendor.confirmed").await, told(bed, "vendor.declined").await);
            assert_eq!(confirmed.len() + declined.len(), n, "each decision is told once");
            let relations = bed.data(&format!("{event}/vendors")).await;
            assert_eq!(relations.as_array().map(Vec::len), Some(n));
            assert_eq!(relations[0]["status"], if yes.status == 200 { "confirmed" } else { "declined" });
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_takes_in_who_says_nothing_good_of_themselves() {
    on_both(async |bed: &Bed| {
        let body = json!({"name": "Cakes", "category": "catering", "verified": true, "rating": 5,
            "contactEmail": "a@b.example"});

        let taken = send(bed, "/api/v1/public/applications/vendor", &body).await;
        let bank =
            send(bed, "/api/v1/public/applications/sponsor", &json!({"name": "Bank", "industry": "finance"}))
                .await;
        let wrong = send(bed, "/api/v1/public/applications/vendor", &json!({"contactEmail": "x"})).await;
        let odd = send(bed, "/api/v1/public/applications/guest", &body).await;

        let data = taken.json()["data"].clone();
        let token = data["statusToken"].as_str().expect("a token");
        assert_eq!((taken.status, bank.status, wrong.status, odd.status), (201, 201, 400, 405));
        assert_eq!(taken.json()["meta"], json!({"created": true, "ignoredFields": ["rating", "verified"]}));
        assert_eq!(taken.header("location"), Some(format!("/api/v1/public/applications/{token}").as_str()));
        let path = format!("/api/v1/vendors/{}", id(&data));
        assert_eq!(
            (&bed.data(&path).await["status"], &bed.data(&path).await["verified"]),
            (&json!("pending"), &json!(false))
        );
        let came = told(bed, "vendor.applied").await;
        assert_eq!((came.len(), &came[0]["vendorId"], came[0].get("eventId")), (1, &data["id"], None));
        assert_eq!(told(bed, "sponsor.applied").await[0]["industry"], "finance");
        assert_eq!(status(bed, token).await["status"], "pending");
        bed.post(&format!("{path}/reject"), &json!({"reason": "closed"})).await;
        let seen = status(bed, token).await;
        assert_eq!((&seen["status"], &seen["rejectionReason"]), (&json!("rejected"), &json!("closed")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_are_the_events_projects_and_go_with_it() {
    on_both(async |bed: &Bed| {
        let other = bed.project("other").await;
        let theirs = bed
            .key_of(&other, openevent_domain::tenant::Environment::Live, &["events:*", "signals:read"])
            .await;
        let theirs = [("x-api-key", theirs.as_str()), JSON];
        let body =
            r#"{"title":"Theirs","startDate":5,"status":"planning","isPublic":true,"seekingVendors":true}"#;
        let made = bed.ingest(&theirs, body).await.json()["data"].clone();
        let event = format!("/api/v1/events/{}", id(&made));
        let vendor = vendor(bed).await;

        let (path, token) = applied(bed, &event, &wish(&vendor)).await;

        assert_eq!(bed.get(&path).await.status, 404, "another project's");
        assert_eq!(patch(bed, &path, json!({"status": "accepted"})).await.status, 404);
        assert_eq!(told(bed, "vendor.applied").await, Vec::<Value>::new());
        let signals = bed.send("GET", "/api/v1/signals?name=vendor.applied", &theirs, "").await.json();
        assert_eq!(signals["meta"]["total"], 1);
        assert_eq!(bed.send("GET", &path, &theirs, "").await.status, 200);
        assert_eq!(bed.send("DELETE", &event, &theirs, "").await.status, 200);
        let gone = bed.send("GET", &format!("/api/v1/public/applications/{token}"), &[OPERATOR], "").await;
        assert_eq!(gone.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_sent_twice_under_one_key_is_one_and_its_token_is_shown_once() {
    on_both(async |bed: &Bed| {
        let path = "/api/v1/public/applications/vendor";
        let headers = [JSON, ("idempotency-key", "k1")];
        let body = r#"{"name":"Cakes","category":"catering"}"#;

        let first = bed.send("POST", path, &headers, body).await;
        let again = bed.send("POST", path, &headers, body).await;
        let other = bed.send("POST", path, &headers, r#"{"name":"Pies","category":"catering"}"#).await;

        assert_eq!((first.status, again.status, other.status), (201, 201, 422));
        assert_eq!(first.json()["data"]["id"], again.json()["data"]["id"]);
        assert_eq!((again.header("idempotency-replayed"), again.header("location")), (Some("true"), None));
        assert_eq!(again.json()["data"].get("statusToken"), None);
        assert_eq!(again.json()["meta"]["secretWithheld"], true);
        assert_eq!(told(bed, "vendor.applied").await.len(), 1);
    })
    .await;
}
