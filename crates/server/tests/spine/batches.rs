//! `POST /api/v1/events/batch`.
//!
//! Invariant: what is acceptable is on disk in one commit, what is not is told by its place.
//! Not here: CloudEvents.

use crate::bed::{JSON, OPERATOR, code, on_both, refusal};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/events/batch";

fn events(count: usize) -> Value {
    json!({"events": (0..count).map(|n| json!({"name": "n.b", "payload": {"n": n}})).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_are_taken_and_one_more_is_not() {
    on_both(async |bed| {
        let reply = bed.post(PATH, &events(1_000)).await;
        let body = reply.json();
        assert_eq!((reply.status, &body["data"]["accepted"]), (202, &json!(1_000)));
        assert_eq!(body["message"], "Event received and queued for processing");
        let ids: std::collections::BTreeSet<_> = body["data"]["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["event_id"].to_string())
            .collect();
        assert_eq!(ids.len(), 1_000);

        let too_many = refusal(&bed.post(PATH, &events(1_001)).await);
        assert_eq!(too_many, [("events".to_owned(), "must have at most 1000 items".to_owned())]);
        assert_eq!(bed.signals_total().await, 1_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_item_is_taken_or_refused_for_itself() {
    on_both(async |bed| {
        bed.load("note", "{ type: a.b }", "do:\n- note:\n    set: { n: 1 }\n").await;
        let items = json!({"events": [{"name": "a.b"}, {"name": ""}, 7, {"name": "c.d", "payload": []}, {"name": "c.d"}]});
        let reply = bed.post(PATH, &items).await;

        let data = reply.json()["data"].clone();
        assert_eq!((reply.status, &data["accepted"], &data["rejected"]), (202, &json!(2), &json!(3)));
        let results = data["results"].as_array().unwrap();
        let shape: Vec<_> = results.iter().map(|one| (one["index"].as_i64(), one["success"].as_bool())).collect();
        let wanted: Vec<_> =
            [true, false, false, false, true].into_iter().enumerate().map(|(n, ok)| (Some(n as i64), Some(ok))).collect();
        assert_eq!(shape, wanted);
        assert_eq!(results[0]["runs"][0]["workflow"], "shop/note");
        assert_eq!(results[1]["error"]["details"], json!([{"field": "name", "issue": "must not be blank"}]));
        assert_eq!(bed.signals_total().await, 2);
        assert_eq!(bed.ended(&results[0]["runs"][0]["run_id"]).await["output"], json!({"n": 1}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_with_nothing_acceptable_is_refused_as_a_whole() {
    on_both(async |bed| {
        let fields = |body: Value| async move {
            let reply = bed.post(PATH, &body).await;
            refusal(&reply).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(fields(json!({"events": [{"name": ""}, {}]})).await, ["events.0.name", "events.1.name"]);
        assert_eq!(fields(json!({"events": []})).await, ["events"]);
        assert_eq!(fields(json!({"events": {}})).await, ["events"]);
        assert_eq!(fields(json!({})).await, ["events"]);
        assert_eq!(fields(json!([])).await, ["body"]);
        assert_eq!(refusal(&bed.send("POST", PATH, &[OPERATOR, JSON], "{").await)[0].0, "body");
        assert_eq!(bed.signals_total().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_sent_twice_under_one_key_is_one() {
    on_both(async |bed| {
        let headers = [OPERATOR, JSON, ("idempotency-key", "batch-1")];
        let first = bed.send("POST", PATH, &headers, events(3).to_string()).await;
        let again = bed.send("POST", PATH, &headers, events(3).to_string()).await;
        let other = bed.send("POST", PATH, &headers, events(4).to_string()).await;

        assert_eq!((first.status, &first.body), (202, &again.body));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!((other.status, code(&other).as_str()), (422, "UNPROCESSABLE"));
        assert_eq!(bed.signals_total().await, 3);
    })
    .await;
}
