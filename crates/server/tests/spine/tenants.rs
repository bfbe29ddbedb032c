//! Tenants do not see each other: neither another project's things nor those of its other environment.
//!
//! Invariant: what belongs to somebody else is answered as what is not there.
//! Not here: objects that are asked for by their paths (see `authorisation`).

use crate::bed::{Bed, JSON, YAML, on_both, workflow};
use openevent_domain::tenant::Environment;
use serde_json::json;

const NOTE: &str = "do:\n- note:\n    set: { n: 1 }\n";

/// Keys of the same project's test environment, and of another project.
async fn strangers(bed: &Bed) -> [String; 2] {
    let mine = bed.app.keyring.operator().project_id.clone();
    let other = bed.project("other").await;
    [bed.key_of(&mine, Environment::Test, &["*"]).await, bed.key_of(&other, Environment::Live, &["*"]).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_runs_are_not_found_by_their_signal() {
    on_both(async |bed| {
        bed.load("mine", "{ type: a.b }", NOTE).await;
        let sent = bed.signal("a.b", json!({})).await;
        let path = format!("/api/v1/runs?eventId={}", sent["event_id"].as_str().unwrap());
        assert_eq!(bed.data(&path).await.as_array().unwrap().len(), 1);
        for key in strangers(bed).await {
            let list = bed.send("GET", &path, &[("x-api-key", &key)], "").await.json();
            assert_eq!((&list["data"], &list["meta"]["total"]), (&json!([]), &json!(0)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_starts_only_its_own_tenants_workflows() {
    on_both(async |bed| {
        bed.load("same", "{ type: a.b }", NOTE).await;
        for key in strangers(bed).await {
            let key = ("x-api-key", key.as_str());
            let alone = bed.ingest(&[key, JSON], r#"{"name":"a.b"}"#).await.json();
            assert_eq!(alone["data"]["runs"], json!([]));
            let path = "/api/v1/workflows/shop/same";
            let put = bed.send("PUT", path, &[key, YAML], workflow("same", "{ type: a.b }", NOTE)).await;
            assert_eq!(put.status, 201, "the same name is free for everybody");
            let own = bed.ingest(&[key, JSON], r#"{"name":"a.b"}"#).await.json();
            assert_eq!(own["data"]["runs"].as_array().unwrap().len(), 1);
        }
        assert_eq!(bed.signals_total().await, 0);
        assert_eq!(bed.data("/api/v1/runs").await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_a_key_and_a_cloud_event_bind_one_tenant_only() {
    on_both(async |bed| {
        let strict = json!({"schema": {"type": "object", "required": ["x"]}}).to_string();
        let path = "/api/v1/event-types/a.b";
        assert_eq!(bed.send("PUT", path, &[crate::bed::OPERATOR, JSON], strict).await.status, 201);
        let once = ("idempotency-key", "one");
        let event = json!({"specversion": "1.0", "type": "c.d", "source": "/s", "id": "1"}).to_string();
        let kind = ("content-type", "application/cloudevents+json");
        let mut ids =
            vec![bed.ingest(&[crate::bed::OPERATOR, kind], &event).await.json()["event_id"].clone()];
        for key in strangers(bed).await {
            let key = ("x-api-key", key.as_str());
            assert_eq!(bed.send("GET", path, &[key], "").await.status, 404);
            let reply = bed.ingest(&[key, JSON, once], r#"{"name":"a.b"}"#).await;
            assert_eq!((reply.status, reply.header("idempotency-replayed")), (202, None));
            ids.push(bed.ingest(&[key, kind], &event).await.json()["event_id"].clone());
        }
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    })
    .await;
}
