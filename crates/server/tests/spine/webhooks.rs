//! Managing webhooks.
//!
//! Invariant: a secret is in one answer and no other; who is no admin sees nothing of them.
//! Not here: what is sent (`deliveries`).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use openevent_domain::tenant::Environment;
use openevent_store::audit::{AuditRecord, Filter, Order, Place};
use openevent_testkit::Reply;
use serde_json::{Value, json};

const WEBHOOKS: &str = "/api/v1/webhooks";

fn good() -> Value {
    json!({"name": "My App", "url": "https://example.com/webhook", "events": ["event.created", "vendor.*"]})
}

async fn made(bed: &Bed, body: &Value) -> Value {
    let reply = bed.post(WEBHOOKS, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["data"].clone()
}

fn path(webhook: &Value) -> String {
    format!("{WEBHOOKS}/{}", webhook["id"].as_str().expect("an id"))
}

/// What the audit log holds of webhooks, newest first.
async fn noted(bed: &Bed) -> Vec<AuditRecord> {
    let tenant = &bed.app.keyring.operator().tenant;
    let filter = Filter { action: Some("webhook.".into()), ..Filter::default() };
    let rows = bed.app.store.audits(tenant, &filter, Order::NewestFirst, &Place::Offset(0), 10).await;
    rows.expect("an answer")
}

async fn patch(bed: &Bed, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let headers: Vec<_> = [OPERATOR, JSON].iter().chain(headers).copied().collect();
    bed.send("PATCH", path, &headers, body.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_made_with_a_secret_that_is_shown_once() {
    on_both(async |bed| {
        let key = ("idempotency-key", "once");
        let first = bed.send("POST", WEBHOOKS, &[OPERATOR, JSON, key], good().to_string()).await;
        let again = bed.send("POST", WEBHOOKS, &[OPERATOR, JSON, key], good().to_string()).await;

        let webhook = first.json()["data"].clone();
        assert_eq!((first.status, again.status), (201, 201));
        assert_eq!(first.header("location"), Some(path(&webhook).as_str()));
        let secret = webhook["secret"].as_str().expect("a secret");
        assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
        assert!(webhook["message"].is_string());
        assert_eq!((&webhook["_id"], &webhook["status"]), (&webhook["id"], &json!("active")));
        assert_eq!(again.json()["data"].get("secret"), None);
        assert_eq!(again.json()["meta"]["secretWithheld"], true);

        let listed = bed.data(WEBHOOKS).await;
        let shown = bed.data(&path(&webhook)).await;
        assert_eq!(listed, json!([shown]));
        assert!(!shown.to_string().contains("whsec_"), "{shown}");
        assert_eq!(shown["events"], json!(["event.created", "vendor.*"]));
        let noted = noted(bed).await;
        assert_eq!(noted.len(), 1, "a repetition leaves no row");
        assert_eq!((noted[0].action.as_str(), &json!(noted[0].target)), ("webhook.create", &webhook["id"]));
        assert!(!format!("{noted:?}").contains("whsec_"), "{noted:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_webhook_is_refused_with_every_mistake() {
    let bed = Bed::sqlite().await;
    let with = |field: &str, value: Value| {
        let mut body = good();
        body[field] = value;
        body
    };
    for (body, field) in [
        (with("name", json!("")), "name"),
        (with("name", json!("n".repeat(101))), "name"),
        (with("name", json!(7)), "name"),
        (with("url", json!("not a url")), "url"),
        (with("url", json!("ftp://example.com/")), "url"),
        (with("url", json!("http://example.com/")), "url"),
        (with("url", json!("http://localhost.example.com/")), "url"),
        (with("url", json!("https://me:pw@example.com/")), "url"),
        (with("events", json!([])), "events"),
        (with("events", json!([""])), "events"),
        (with("events", json!("event.created")), "events"),
        (with("events", json!(["no.such.name"])), "events"),
        (with("events", json!(["event*"])), "events"),
        (with("events", json!(["a b"])), "events"),
        (with("status", json!("disabled")), "status"),
    ] {
        let reply = bed.post(WEBHOOKS, &body).await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"), "{body}");
        assert_eq!(reply.json()["error"]["details"][0]["field"], field, "{body}: {}", reply.text());
    }
    let none = bed.post(WEBHOOKS, &json!({})).await.json();
    let fields: Vec<_> =
        none["error"]["details"].as_array().expect("details").iter().map(|one| &one["field"]).collect();
    assert_eq!(fields, ["name", "url", "events"]);
    assert_eq!(bed.data(WEBHOOKS).await, json!([]));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_de_duplicated_and_catalogued_ones_are_known() {
    let bed = Bed::sqlite().await;
    let put = bed.send("PUT", "/api/v1/event-types/order.paid", &[OPERATOR, JSON], "{}").await;
    assert_eq!(put.status, 201, "{}", put.text());
    let body = json!({"name": "n".repeat(100), "url": "http://127.0.0.1:9/hook?x=1",
        "events": ["order.paid", "order.paid", " event.* ", "webhook.disabled", "*"], "secret": "whsec_mine", "id": "wh_x"});

    let reply = bed.post(WEBHOOKS, &body).await.json();

    assert_eq!(reply["data"]["events"], json!(["order.paid", "event.*", "webhook.disabled", "*"]));
    assert_eq!(reply["meta"]["ignoredFields"], json!(["id", "secret"]));
    assert_ne!(reply["data"]["secret"], "whsec_mine");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_changed_and_removed_by_who_knows_its_state() {
    on_both(async |bed| {
        let webhook = made(bed, &good()).await;
        let at = path(&webhook);
        let tag = bed.get(&at).await.header("etag").expect("a tag").to_owned();

        let paused =
            patch(bed, &at, &[("if-match", &tag)], &json!({"status": "paused", "name": "Other"})).await;
        assert_eq!(paused.status, 200, "{}", paused.text());
        let data = paused.json()["data"].clone();
        assert_eq!(
            (&data["status"], &data["name"], &data["url"]),
            (&json!("paused"), &json!("Other"), &webhook["url"])
        );
        let stale = patch(bed, &at, &[("if-match", &tag)], &json!({"name": "Third"})).await;
        assert_eq!((stale.status, code(&stale).as_str()), (412, "PRECONDITION_FAILED"));
        for body in
            [json!({"status": "disabled"}), json!({"events": []}), json!({"url": null}), json!({"name": " "})]
        {
            assert_eq!(patch(bed, &at, &[], &body).await.status, 400, "{body}");
        }
        assert_eq!(code(&patch(bed, &at, &[], &json!({})).await), "BAD_REQUEST");
        assert_eq!(bed.data(&at).await["name"], "Other");
        assert_eq!(bed.data(&format!("{WEBHOOKS}?status=active")).await, json!([]));

        let gone = bed.send("DELETE", &at, &[OPERATOR], "").await;
        assert_eq!((gone.status, gone.json()["data"].clone()), (200, json!({"deleted": true})));
        for (method, path) in
            [("GET", at.clone()), ("DELETE", at.clone()), ("GET", format!("{at}/deliveries"))]
        {
            assert_eq!(bed.send(method, &path, &[OPERATOR], "").await.status, 404, "{method} {path}");
        }
        let noted = noted(bed).await;
        let actions: Vec<_> = noted.iter().map(|row| row.action.as_str()).collect();
        assert_eq!(actions, ["webhook.delete", "webhook.update", "webhook.create"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_admins_of_the_same_data_set_see_a_webhook() {
    on_both(async |bed| {
        let webhook = made(bed, &good()).await;
        let project = bed.app.keyring.operator().project_id.clone();
        let stranger = bed.project("elsewhere").await;
        let narrow = bed.key(&["events:*", "vendors:read"]).await;
        let test = bed.key_of(&project, Environment::Test, &["*"]).await;
        let theirs = bed.key_of(&stranger, Environment::Live, &["*"]).await;

        for (method, path) in [
            ("GET", WEBHOOKS.to_owned()),
            ("POST", WEBHOOKS.to_owned()),
            ("GET", path(&webhook)),
            ("PATCH", path(&webhook)),
            ("DELETE", path(&webhook)),
            ("POST", format!("{}/rotate", path(&webhook))),
            ("POST", format!("{}/test", path(&webhook))),
            ("POST", format!("{}/recover?since=0", path(&webhook))),
            ("GET", format!("{}/deliveries", path(&webhook))),
        ] {
            let reply = bed.send(method, &path, &[("x-api-key", &narrow), JSON], "{}").await;
            assert_eq!((reply.status, code(&reply).as_str()), (403, "FORBIDDEN"), "{method} {path}");
            if path != WEBHOOKS {
                for key in [&test, &theirs] {
                    let body = r#"{"name":"mine"}"#;
                    let reply = bed.send(method, &path, &[("x-api-key", key), JSON], body).await;
                    assert_eq!((reply.status, code(&reply).as_str()), (404, "NOT_FOUND"), "{method} {path}");
                }
            }
        }
        assert_eq!(bed.data(&path(&webhook)).await["name"], "My App");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_names_are_listed_without_a_credential() {
    let bed = Bed::sqlite().await;

    let reply = bed.send("GET", "/api/v1/webhooks/events", &[], "").await;

    let names = reply.json()["data"].clone();
    let names: Vec<_> =
        names.as_array().expect("names").iter().map(|one| one["name"].as_str().unwrap_or("?")).collect();
    assert_eq!((reply.status, names.len()), (200, 12));
    assert!(names.contains(&"event.created") && names.contains(&"task.completed"));
    bed.end().await;
}
