//! Keys made over HTTP: what they may do, who may make them, and how soon a change counts.
//!
//! Invariant: the text of a key is in one answer only.
//! Not here: keys of the command line, credentials in general (`tests/face`).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use openevent_domain::api_key;
use openevent_domain::id::ProjectId;
use openevent_domain::tenant::Environment;
use openevent_store::WriteSet;
use openevent_testkit::Reply;
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/api-keys";

async fn make(bed: &Bed, headers: &[(&str, &str)], body: &Value) -> Value {
    let reply = bed.send("POST", KEYS, &[headers, &[JSON]].concat(), body.to_string()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["data"].clone()
}

fn path(key: &Value) -> String {
    format!("{KEYS}/{}", key["id"].as_str().expect("an id"))
}

fn issues(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!((reply.status, code(reply).as_str()), (400, "VALIDATION_ERROR"), "{}", reply.text());
    let details = reply.json()["error"]["details"].as_array().expect("details").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    details.iter().map(|one| (text(&one["field"]), text(&one["issue"]))).collect()
}

async fn status_of(bed: &Bed, key: &str, path: &str) -> u16 {
    bed.send("GET", path, &[("x-api-key", key)], "").await.status
}

/// A key with `*` that an owner of the project made, who is no admin of the instance.
async fn owners_key(bed: &Bed, project: &ProjectId, environment: Environment) -> String {
    let text = bed.key_of(project, environment, &["*"]).await;
    let found = bed.app.store.key_by_hash(&api_key::hash(&text)).await;
    let mut key = found.expect("the store answers").expect("the key is stored");
    key.is_instance = false;
    let mut set = WriteSet::new();
    set.change_key(&key, 1);
    bed.app.store.submit(set).await.expect("the key is changed");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_and_works_from_then_on() {
    on_both(async |bed: &Bed| {
        let body = json!({"name": " ci ", "scopes": ["events:read", "runs:*", "events:read"], "odd": 1});
        let headers = [OPERATOR, JSON, ("idempotency-key", "one")];
        let first = bed.send("POST", KEYS, &headers, body.to_string()).await;
        let again = bed.send("POST", KEYS, &headers, body.to_string()).await;

        let made = first.json()["data"].clone();
        let text = made["key"].as_str().unwrap().to_owned();
        assert_eq!((first.status, first.header("location")), (201, Some(path(&made).as_str())));
        assert!(text.starts_with("oe_live_") && text.len() == 40, "{text}");
        assert_eq!(first.json()["meta"]["ignoredFields"], json!(["odd"]));
        assert_eq!(
            (&made["name"], &made["scopes"], &made["environment"], &made["status"], &made["prefix"]),
            (
                &json!("ci"),
                &json!(["events:read", "runs:*"]),
                &json!("live"),
                &json!("active"),
                &json!(text[..12])
            )
        );
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
        assert_eq!(again.json()["meta"]["secretWithheld"], true);
        assert!(!again.text().contains(&text) && again.json()["data"]["id"] == made["id"]);
        assert_eq!(
            (status_of(bed, &text, "/api/v1/events").await, status_of(bed, &text, KEYS).await),
            (200, 403)
        );
        let listed = bed.get(KEYS).await;
        assert!(!listed.text().contains(&text), "{}", listed.text());
        assert_eq!(
            (&listed.json()["meta"]["total"], &listed.json()["data"][0]["id"]),
            (&json!(1), &made["id"])
        );
        assert!(bed.get(&path(&made)).await.json()["data"].get("key").is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_is_named_at_once() {
    on_both(async |bed: &Bed| {
        let body = json!({"name": " ", "scopes": ["events:read", "events:fly", "*:*"], "environment": "prod",
            "expiresAt": 1, "rateLimit": 0});
        let refused = issues(&bed.post(KEYS, &body).await);
        let fields: Vec<&str> = refused.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["environment", "name", "expiresAt", "rateLimit", "scopes.1", "scopes.2"]);
        assert!(refused[4].1.contains("events:fly"), "{refused:?}");
        for (body, field) in [
            (json!({"scopes": ["*"]}), "name"),
            (json!({"name": "a"}), "scopes"),
            (json!({"name": "a", "scopes": []}), "scopes"),
            (json!({"name": "a", "scopes": "*"}), "scopes"),
            (json!({"name": "a", "scopes": null}), "scopes"),
            (json!({"name": "a\u{7}", "scopes": ["*"]}), "name"),
            (json!([]), "body"),
        ] {
            assert_eq!(issues(&bed.post(KEYS, &body).await)[0].0, field, "{body}");
        }
        assert_eq!(bed.data(KEYS).await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_counts_from_the_next_call_on() {
    on_both(async |bed: &Bed| {
        let made = make(bed, &[OPERATOR], &json!({"name": "ci", "scopes": ["events:read"]})).await;
        let (text, path) = (made["key"].as_str().unwrap(), path(&made));
        let change = async |body: Value| bed.send("PATCH", &path, &[OPERATOR, JSON], body.to_string()).await;
        assert_eq!(status_of(bed, text, "/api/v1/events").await, 200);

        let narrowed = change(json!({"scopes": ["runs:read"], "environment": "test"})).await;
        assert_eq!(
            (narrowed.status, &narrowed.json()["meta"]["ignoredFields"]),
            (200, &json!(["environment"]))
        );
        assert_eq!(status_of(bed, text, "/api/v1/events").await, 403);
        let limited = change(json!({"rateLimit": 5000, "name": "deploy"})).await;
        assert_eq!(limited.json()["data"]["rateLimit"], 5000);
        let reply = bed.send("GET", "/api/v1/runs", &[("x-api-key", text)], "").await;
        assert_eq!(reply.header("x-ratelimit-limit"), Some("5000"));
        assert_eq!(change(json!({"rateLimit": null})).await.json()["data"].get("rateLimit"), None);
        assert_eq!((change(json!({})).await.status, change(json!({"name": null})).await.status), (400, 400));

        let revoked = bed.send("POST", &format!("{path}/revoke"), &[OPERATOR], "").await;
        assert_eq!((revoked.status, &revoked.json()["data"]["status"]), (200, &json!("revoked")));
        assert_eq!(status_of(bed, text, "/api/v1/runs").await, 401);
        let again = bed.send("POST", &format!("{path}/revoke"), &[OPERATOR], "").await;
        assert_eq!(again.json()["data"], revoked.json()["data"]);
        assert_eq!(bed.data(&format!("{KEYS}?status=revoked")).await[0]["name"], "deploy");
        assert_eq!(bed.data(&format!("{KEYS}?status=active")).await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_is_gone_at_once() {
    on_both(async |bed: &Bed| {
        let made = make(bed, &[OPERATOR], &json!({"name": "ci", "scopes": ["events:read"]})).await;
        let (text, path) = (made["key"].as_str().unwrap(), path(&made));
        assert_eq!(status_of(bed, text, "/api/v1/events").await, 200);

        let deleted = bed.send("DELETE", &path, &[OPERATOR], "").await;

        assert_eq!(deleted.json()["data"], json!({"deleted": true}));
        assert_eq!((status_of(bed, text, "/api/v1/events").await, bed.get(&path).await.status), (401, 404));
        assert_eq!(bed.send("DELETE", &path, &[OPERATOR], "").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_tag_changes_nothing_and_use_makes_none_stale() {
    on_both(async |bed: &Bed| {
        let made = make(bed, &[OPERATOR], &json!({"name": "ci", "scopes": ["events:read"]})).await;
        let path = path(&made);
        let tag = bed.get(&path).await.header("etag").unwrap().to_owned();
        status_of(bed, made["key"].as_str().unwrap(), "/api/v1/events").await;
        let with = [OPERATOR, JSON, ("if-match", tag.as_str())];

        let first = bed.send("PATCH", &path, &with, r#"{"name":"b"}"#).await;
        let second = bed.send("PATCH", &path, &with, r#"{"name":"c"}"#).await;
        let deleted = bed.send("DELETE", &path, &with, "").await;

        assert_eq!((first.status, second.status, deleted.status), (200, 412, 412));
        assert_eq!(bed.data(&path).await["name"], "b");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_credential_sees_and_makes_test_keys_only() {
    on_both(async |bed: &Bed| {
        let live = make(bed, &[OPERATOR], &json!({"name": "live", "scopes": ["*"]})).await;
        let test =
            make(bed, &[OPERATOR], &json!({"name": "test", "scopes": ["*"], "environment": "test"})).await;
        let text = test["key"].as_str().unwrap();
        assert!(text.starts_with("oe_test_"), "{text}");
        let headers = [("x-api-key", text)];
        let names = async |query: &str| -> Vec<String> {
            let reply = bed.send("GET", &format!("{KEYS}{query}"), &headers, "").await;
            let list = reply.json()["data"].as_array().unwrap().clone();
            list.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
        };

        assert_eq!((names("").await, names("?environment=live").await), (vec!["test".to_owned()], vec![]));
        assert_eq!(bed.send("GET", &path(&live), &headers, "").await.status, 404);
        assert_eq!(bed.send("DELETE", &path(&live), &headers, "").await.status, 404);
        let made = make(bed, &headers, &json!({"name": "more", "scopes": ["events:read"]})).await;
        assert_eq!(made["environment"], "test");
        let body = json!({"name": "a", "scopes": ["*"], "environment": "live"}).to_string();
        assert_eq!(issues(&bed.send("POST", KEYS, &[headers[0], JSON], body).await)[0].0, "environment");
        assert_eq!(bed.data(&format!("{KEYS}?environment=test")).await.as_array().unwrap().len(), 2);
        assert_eq!(bed.data(KEYS).await.as_array().unwrap().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_another_project_are_not_there() {
    on_both(async |bed: &Bed| {
        let ours = make(bed, &[OPERATOR], &json!({"name": "ours", "scopes": ["events:read"]})).await;
        let project = bed.project("acme").await;
        let theirs = bed.key_of(&project, Environment::Live, &["*"]).await;
        let headers = [("x-api-key", theirs.as_str()), JSON];
        let path = path(&ours);
        for (method, path) in [
            ("GET", path.clone()),
            ("PATCH", path.clone()),
            ("DELETE", path.clone()),
            ("POST", format!("{path}/revoke")),
        ] {
            assert_eq!(bed.send(method, &path, &headers, "{}").await.status, 404, "{method} {path}");
        }
        let listed = bed.send("GET", KEYS, &headers, "").await.json();
        assert_eq!(listed["meta"]["total"], 1, "their own: {listed}");
        assert_eq!(status_of(bed, ours["key"].as_str().unwrap(), "/api/v1/events").await, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gives_a_key_more_than_they_hold() {
    on_both(async |bed: &Bed| {
        let project = bed.app.keyring.operator().project_id.clone();
        let owner = owners_key(bed, &project, Environment::Live).await;
        let headers = [("x-api-key", owner.as_str()), JSON];
        let vendor = json!({"name": "Cakes", "category": "Catering"}).to_string();
        assert_eq!(bed.send("POST", "/api/v1/vendors", &headers, vendor.clone()).await.status, 403);

        let child = make(bed, &headers[..1], &json!({"name": "child", "scopes": ["*"]})).await;
        assert_eq!(child["instanceAdmin"], false);
        let child = [("x-api-key", child["key"].as_str().unwrap()), JSON];
        assert_eq!(bed.send("POST", "/api/v1/vendors", &child, vendor.clone()).await.status, 403);

        let operators = make(bed, &[OPERATOR], &json!({"name": "op", "scopes": ["events:read"]})).await;
        let widened = bed.send("PATCH", &path(&operators), &headers, r#"{"scopes":["*"]}"#).await;
        assert_eq!((widened.status, &widened.json()["data"]["instanceAdmin"]), (200, &json!(false)));
        let theirs = [("x-api-key", operators["key"].as_str().unwrap()), JSON];
        assert_eq!(bed.send("POST", "/api/v1/vendors", &theirs, vendor.clone()).await.status, 403);

        let fast = json!({"name": "fast", "scopes": ["*"], "rateLimit": 1001}).to_string();
        assert_eq!(issues(&bed.send("POST", KEYS, &headers, fast).await)[0].0, "rateLimit");
        let slow = json!({"name": "slow", "scopes": ["*"], "rateLimit": 10});
        assert_eq!(make(bed, &headers[..1], &slow).await["rateLimit"], 10);
        let admin = make(bed, &[OPERATOR], &json!({"name": "admin", "scopes": ["*"]})).await;
        let admin = [("x-api-key", admin["key"].as_str().unwrap()), JSON];
        assert_eq!(bed.send("POST", "/api/v1/vendors", &admin, vendor).await.status, 201);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_by_cursor_without_gaps_while_keys_are_made() {
    on_both(async |bed: &Bed| {
        for n in 0..5 {
            make(bed, &[OPERATOR], &json!({"name": format!("k{n}"), "scopes": ["events:read"]})).await;
        }
        let first = bed.get(&format!("{KEYS}?limit=2&fields=name")).await.json();
        make(bed, &[OPERATOR], &json!({"name": "new", "scopes": ["events:read"]})).await;
        let cursor = first["meta"]["nextCursor"].as_str().unwrap();
        let rest = bed.get(&format!("{KEYS}?limit=9&cursor={cursor}")).await.json();
        let names = |page: &Value| -> Vec<String> {
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            (names(&first), names(&rest)),
            (vec!["k4".into(), "k3".into()], vec!["k2".into(), "k1".into(), "k0".into()])
        );
        assert_eq!((&first["meta"]["total"], &rest["meta"]["hasMore"]), (&json!(5), &json!(false)));
    })
    .await;
}
