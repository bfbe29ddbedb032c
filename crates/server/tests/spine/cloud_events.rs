//! CloudEvents at the same door: structured, as a batch, and binary.
//!
//! Invariant: `source` and `id` together are received once.
//! Not here: our own form.

use crate::bed::{OPERATOR, on_both, refusal};
use serde_json::{Value, json};

const ONE: (&str, &str) = ("content-type", "application/cloudevents+json");
const MANY: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

fn event(id: &str) -> Value {
    json!({
        "specversion": "1.0", "type": "order.created", "source": "/shop", "id": id, "subject": "o-1",
        "datacontenttype": "application/json", "data": {"n": id},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_structured_event_is_a_signal_and_is_received_once() {
    on_both(async |bed| {
        bed.load("note", "{ type: order.created }", "do:\n- note:\n    set: { source: '${ $workflow.input[0].source }', subject: '${ $workflow.input[0].subject }' }\n").await;
        let first = bed.ingest(&[OPERATOR, ONE], &event("1").to_string()).await;
        let again = bed.ingest(&[OPERATOR, ONE], &event("1").to_string()).await;
        let elsewhere = bed.ingest(&[OPERATOR, ONE], &{
            let mut other = event("1");
            other["source"] = json!("/other");
            other.to_string()
        }).await;

        assert_eq!((first.status, again.status, elsewhere.status), (202, 202, 202), "{}", first.text());
        let (first, again) = (first.json(), again.json());
        assert_eq!(first["event_id"], again["event_id"]);
        assert_eq!(first["data"]["runs"], again["data"]["runs"], "a duplicate hears what the first heard");
        assert_eq!(bed.signals_total().await, 2);
        let story = bed.data(&format!("/api/v1/signals/{}", first["event_id"].as_str().unwrap())).await;
        assert_eq!((&story["name"], &story["payload"]), (&json!("order.created"), &json!({"n": "1"})));
        let run = bed.ended(&first["data"]["runs"][0]["run_id"]).await;
        assert_eq!(run["output"], json!({"source": "/shop", "subject": "o-1"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_structured_event_names_everything_that_is_missing() {
    on_both(async |bed| {
        let fields = |body: Value| async move {
            let reply = bed.ingest(&[OPERATOR, ONE], &body.to_string()).await;
            refusal(&reply).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(fields(json!({})).await, ["specversion", "type", "source", "id"]);
        assert_eq!(fields(json!([])).await, ["body"]);
        let mut wrong = event("1");
        wrong["specversion"] = json!("0.3");
        wrong["type"] = json!("a b");
        wrong["data"] = json!([1]);
        assert_eq!(fields(wrong).await, ["data", "specversion", "type"]);
        assert_eq!(refusal(&bed.ingest(&[OPERATOR, ONE], "{").await)[0].0, "body");
        assert_eq!(bed.signals_total().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_events_is_one_commit_and_repeats_nothing() {
    on_both(async |bed| {
        let batch = json!([event("1"), event("2"), event("1"), {"type": "no.more"}]).to_string();
        for path in ["/api/v1/events", "/api/v1/events/batch"] {
            let reply = bed.send("POST", path, &[OPERATOR, MANY], batch.clone()).await;
            assert_eq!(reply.status, 202, "{}", reply.text());
            let data = &reply.json()["data"];
            assert_eq!((&data["accepted"], &data["rejected"]), (&json!(3), &json!(1)), "{data}");
            assert_eq!(data["results"][0]["event_id"], data["results"][2]["event_id"]);
            assert_eq!(data["results"][3]["error"]["code"], "validation_error");
        }
        assert_eq!(bed.signals_total().await, 2);
        let reply = bed.ingest(&[OPERATOR, MANY], "{}").await;
        assert_eq!(refusal(&reply)[0].0, "body");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_event_has_its_attributes_in_headers() {
    on_both(async |bed| {
        let headers = [
            OPERATOR,
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-type", "order.created"),
            ("ce-source", "/shop"),
            ("ce-id", "b-1"),
            ("ce-subject", "caf%C3%A9"),
        ];
        // In binary mode the body is the payload, whatever its members are called.
        let first = bed.ingest(&headers, r#"{"title":"T","name":"n"}"#).await;
        let again = bed.ingest(&headers, r#"{"title":"T","name":"n"}"#).await;

        assert_eq!(first.status, 202, "{}", first.text());
        assert_eq!(first.json()["event_id"], again.json()["event_id"]);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        let story =
            bed.data(&format!("/api/v1/signals/{}", first.json()["event_id"].as_str().unwrap())).await;
        assert_eq!(story["name"], "order.created");
        assert_eq!(story["payload"], json!({"title": "T", "name": "n"}));
        assert_eq!(story["attributes"]["subject"], "café");
        let without_id = [&headers[..5], &headers[6..]].concat();
        assert_eq!(
            refusal(&bed.ingest(&without_id, "{}").await),
            [("id".into(), "field is required".into())]
        );
        assert_eq!(refusal(&bed.ingest(&headers, "[1]").await)[0].0, "data");
    })
    .await;
}
