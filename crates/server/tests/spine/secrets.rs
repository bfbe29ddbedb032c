//! Secrets over HTTP: in, and never out.
//!
//! Invariant: every answer of a scenario is searched for the value.
//! Not here: what the engine does with them on the way (its own suite).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use serde_json::{Value, json};

async fn put(bed: &Bed, name: &str, value: &Value) -> openevent_testkit::Reply {
    let body = json!({"value": value}).to_string();
    bed.send("PUT", &format!("/api/v1/secrets/{name}"), &[OPERATOR, JSON], body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_goes_in_is_listed_by_name_and_never_comes_out() {
    on_both(async |bed| {
        let made = put(bed, "stripe", &json!("sk_hush")).await;
        let replaced = put(bed, "stripe", &json!({"user": "hush", "password": "hush"})).await;
        put(bed, "mail", &json!("hush")).await;
        let list = bed.get("/api/v1/secrets").await;
        let one = bed.get("/api/v1/secrets/stripe").await;

        assert_eq!((made.status, made.header("location")), (201, Some("/api/v1/secrets/stripe")));
        assert_eq!(replaced.status, 200);
        let names: Vec<_> =
            list.json()["data"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(names, ["mail", "stripe"]);
        let data = &one.json()["data"];
        assert_eq!((&data["id"], &data["_id"]), (&json!("stripe"), &json!("stripe")));
        assert!(data["updatedAt"].as_i64() >= data["createdAt"].as_i64());
        for reply in [&made, &replaced, &list, &one] {
            assert!(!reply.text().contains("hush"), "{}", reply.text());
        }
        let tag = one.header("etag").unwrap().to_owned();
        let path = "/api/v1/secrets/stripe";
        let stale = bed.send("DELETE", path, &[OPERATOR, ("if-match", "\"x\"")], "").await;
        let gone = bed.send("DELETE", path, &[OPERATOR, ("if-match", &tag)], "").await;
        assert_eq!((stale.status, gone.status), (412, 200));
        let missing = bed.send("DELETE", path, &[OPERATOR], "").await;
        assert_eq!((missing.status, code(&missing).as_str()), (404, "NOT_FOUND"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_secret_is_refused_without_being_repeated() {
    on_both(async |bed| {
        for value in [
            json!(null),
            json!(""),
            json!(5),
            json!({}),
            json!({"a": 5}),
            json!(["hush"]),
            json!("hush".repeat(20_000)),
        ] {
            let reply = put(bed, "a", &value).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"), "{}", reply.text());
            assert!(!reply.text().contains("hush"));
        }
        for name in ["a%20b", "a%2Fb", "%E2%9F%A6"] {
            let reply = put(bed, name, &json!("x")).await;
            assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        }
        assert_eq!(bed.data("/api/v1/secrets").await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_need_their_scopes_and_belong_to_their_tenant() {
    on_both(async |bed| {
        put(bed, "stripe", &json!("sk_hush")).await;
        let (reader, nobody) = (bed.key(&["workflows:read"]).await, bed.key(&["runs:read"]).await);
        let as_key = async |method: &str, key: &str| {
            let body = if method == "PUT" { "{\"value\":\"x\"}" } else { "" };
            bed.send(method, "/api/v1/secrets/stripe", &[("x-api-key", key), JSON], body).await.status
        };

        assert_eq!((as_key("GET", &reader).await, as_key("GET", &nobody).await), (200, 403));
        assert_eq!((as_key("PUT", &reader).await, as_key("DELETE", &reader).await), (403, 403));
    })
    .await;
}
