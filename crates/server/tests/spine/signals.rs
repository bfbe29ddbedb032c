//! From a signal to its story.
//!
//! Invariant: everything that listens is started once; what nobody listens to is stored all the same.
//! Not here: lists (`lists`), what runs do (`runs`).

use crate::bed::{JSON, OPERATOR, code, on_both};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_starts_every_workflow_that_listens_and_tells_its_story() {
    on_both(async |bed| {
        let shop = Receiver::start().await;
        shop.answer_with(|_, _| Answer::json(&json!({"confirmed": true})));
        let call = format!("do:\n- tell:\n    call: http\n    with: {{ method: post, endpoint: '{}', body: {{ id: '${{ $workflow.input[0].data.orderId }}' }} }}\n", shop.url("/confirm"));
        bed.load("confirm", "{ type: order.created }", &call).await;
        bed.load("note", "{ type: order.created }", "do:\n- note:\n    set: { noted: '${ $workflow.input[0].type }' }\n").await;
        bed.load("big", "{ type: order.created, data: '${ .total > 100 }' }", "do:\n- note:\n    set: { big: true }\n").await;
        bed.load("other", "{ type: order.deleted }", "do:\n- note:\n    set: { x: 1 }\n").await;

        let sent = bed.signal("order.created", json!({"orderId": "o-7", "total": 5})).await;
        let started: Vec<_> =
            sent["runs"].as_array().unwrap().iter().map(|run| run["workflow"].as_str().unwrap()).collect();
        assert_eq!(started, ["shop/confirm", "shop/note"]);
        for run in sent["runs"].as_array().unwrap() {
            assert_eq!(bed.ended(&run["run_id"]).await["status"], "completed");
        }

        let id = sent["event_id"].as_str().unwrap();
        let story = bed.data(&format!("/api/v1/signals/{id}")).await;
        assert_eq!((&story["event_id"], &story["id"], &story["_id"]), (&json!(id), &json!(id), &json!(id)));
        assert_eq!((&story["name"], &story["matched"]), (&json!("order.created"), &json!(true)));
        assert!(story["receivedAt"].is_i64());
        assert_eq!(story["deliveries"], json!([]));
        let mut triggers = story["triggers"].as_array().unwrap().clone();
        triggers.sort_by_key(|trigger| trigger["workflow"].to_string());
        assert_eq!(triggers[0]["workflow"], "shop/big");
        assert_eq!(triggers[0]["matched"], false);
        assert!(triggers[0]["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
        assert_eq!(triggers[1], json!({"workflow": "shop/confirm", "matched": true}));
        assert_eq!(triggers.len(), 3);
        let runs = story["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 2);
        assert!(runs.iter().all(|run| run["status"] == "completed" && run["eventId"] == id));
        let calls = shop.requests();
        assert_eq!((calls.len(), calls[0].json()), (1, json!({"id": "o-7"})));
        assert!(calls[0].header("idempotency-key").is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_nobody_listens_to_is_stored_as_unmatched() {
    on_both(async |bed| {
        let sent = bed.signal("nobody.listens", json!({"n": 1})).await;
        let story = bed.data(&format!("/api/v1/signals/{}", sent["event_id"].as_str().unwrap())).await;
        assert_eq!((&sent["runs"], &story["matched"]), (&json!([]), &json!(false)));
        assert_eq!((&story["triggers"], &story["runs"]), (&json!([]), &json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_is_a_new_signal_that_names_the_first() {
    on_both(async |bed| {
        let first = bed.signal("order.created", json!({"n": 1})).await;
        bed.load(
            "late",
            "{ type: order.created }",
            "do:\n- note:\n    set: { n: '${ $workflow.input[0].data.n }' }\n",
        )
        .await;
        let path = format!("/api/v1/signals/{}/replay", first["event_id"].as_str().unwrap());

        let headers = [OPERATOR, ("idempotency-key", "replay-1")];
        let reply = bed.send("POST", &path, &headers, "").await;
        let again = bed.send("POST", &path, &headers, "").await;

        let data = reply.json()["data"].clone();
        assert_eq!((reply.status, &reply.body), (202, &again.body), "{}", reply.text());
        assert_ne!(data["event_id"], first["event_id"]);
        assert_eq!(bed.ended(&data["runs"][0]["run_id"]).await["output"], json!({"n": 1}));
        let story = bed.data(&format!("/api/v1/signals/{}", data["event_id"].as_str().unwrap())).await;
        assert_eq!((&story["replayOf"], &story["matched"]), (&first["event_id"], &json!(true)));
        assert_eq!(bed.signals_total().await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_is_not_there_is_not_found() {
    on_both(async |bed| {
        for id in ["nonsense", "01234567-89ab-7def-8123-456789abcdef", "%00", "a%2Fb", "'"] {
            let story = bed.get(&format!("/api/v1/signals/{id}")).await;
            assert_eq!((story.status, code(&story).as_str()), (404, "NOT_FOUND"), "{id}");
            let path = format!("/api/v1/signals/{id}/replay");
            assert_eq!(bed.send("POST", &path, &[OPERATOR, JSON], "").await.status, 404, "{id}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_story_that_did_not_change_is_not_sent_again() {
    on_both(async |bed| {
        let sent = bed.signal("a.b", json!({})).await;
        let path = format!("/api/v1/signals/{}", sent["event_id"].as_str().unwrap());
        let tag = bed.get(&path).await.header("etag").unwrap().to_owned();
        let again = bed.send("GET", &path, &[OPERATOR, ("if-none-match", &tag)], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emitted_event_starts_another_workflow() {
    on_both(async |bed| {
        let emit = "do:\n- tell:\n    emit: { event: { with: { type: order.confirmed, source: 'https://shop.example', data: { n: '${ $workflow.input[0].data.n }' } } } }\n";
        bed.load("confirm", "{ type: order.created }", emit).await;
        bed.load("ship", "{ type: order.confirmed }", "do:\n- note:\n    set: { shipped: '${ $workflow.input[0].data.n }' }\n").await;

        let sent = bed.signal("order.created", json!({"n": 7})).await;
        let first = bed.ended(&sent["runs"][0]["run_id"]).await;

        assert_eq!(first["output"]["type"], "order.confirmed", "the output of emit is the event as sent: {first}");
        let runs = bed.until("/api/v1/runs?workflow=shop/ship", |runs| runs[0].get("endedAt").is_some()).await;
        assert_eq!(runs[0]["output"], json!({"shipped": 7}));
        let emitted = bed.data("/api/v1/signals?name=order.confirmed").await;
        assert_eq!((emitted.as_array().unwrap().len(), &emitted[0]["id"]), (1, &first["output"]["id"]));
        assert_eq!(runs[0]["eventId"], emitted[0]["id"]);
    })
    .await;
}
