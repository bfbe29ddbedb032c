//! Runs that wait: listening, steered, outliving their definition.
//!
//! Invariant: a signal is consumed once by a run, whether it came before or after the run began to listen.
//! Not here: timers and crashes (the engine's own tests).

use crate::bed::{Bed, OPERATOR, code, on_both};
use openevent_testkit::Reply;
use serde_json::{Value, json};

const LISTEN: &str = "listen: { to: { one: { with: { type: paid } } } }";

async fn begun(bed: &Bed, name: &str) -> String {
    let reply = bed.post(&format!("/api/v1/workflows/shop/{name}/runs"), &json!({})).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    format!("/api/v1/runs/{}", reply.json()["data"]["id"].as_str().expect("an id"))
}

async fn waits(bed: &Bed, run: &str) -> Value {
    bed.until(run, |run| run["status"] == "waiting").await
}

async fn steer(bed: &Bed, run: &str, how: &str) -> Reply {
    bed.send("POST", &format!("{run}/{how}"), &[OPERATOR], "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_wakes_the_run_that_listens() {
    on_both(async |bed| {
        bed.load("order", "", &format!("do:\n- pay:\n    {LISTEN}\n")).await;
        let run = begun(bed, "order").await;
        let waiting = waits(bed, &run).await;
        assert_eq!((&waiting["tasks"][0]["name"], waiting["tasks"][0].get("endedAt")), (&json!("pay"), None));

        let paid = bed.signal("paid", json!({"by": "card"})).await;
        assert_eq!(paid["runs"], json!([]), "it starts nothing");
        let ended = bed.until(&run, |run| run.get("endedAt").is_some()).await;
        assert_eq!((&ended["status"], &ended["output"]), (&json!("completed"), &json!([{"by": "card"}])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_came_before_is_seen_and_not_consumed_twice() {
    on_both(async |bed| {
        let rest = format!("do:\n- first:\n    {LISTEN}\n    export: {{ as: '${{ {{ first: . }} }}' }}\n- second:\n    {LISTEN}\n- both:\n    set: {{ first: '${{ $context.first }}', second: '${{ . }}' }}\n");
        bed.load("order", "", &rest).await;
        bed.signal("paid", json!({"n": 1})).await;
        let run = begun(bed, "order").await;
        let is_second = |run: &Value| run["status"] == "waiting" && run["tasks"].as_array().is_some_and(|tasks| tasks.len() == 2);
        bed.until(&run, is_second).await;
        bed.signal("paid", json!({"n": 2})).await;
        let ended = bed.until(&run, |run| run.get("endedAt").is_some()).await;
        assert_eq!(ended["output"], json!({"first": [{"n": 1}], "second": [{"n": 2}]}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cancelled_once_and_for_all() {
    on_both(async |bed| {
        bed.load("order", "", &format!("do:\n- pay:\n    {LISTEN}\n")).await;
        let run = begun(bed, "order").await;
        waits(bed, &run).await;
        let cancelled = steer(bed, &run, "cancel").await;
        let data = cancelled.json()["data"].clone();
        assert_eq!((cancelled.status, &data["status"]), (200, &json!("cancelled")), "{data}");
        assert!(data["endedAt"].is_i64());
        assert_eq!(data["tasks"][0]["status"], "cancelled");
        for how in ["cancel", "suspend", "resume"] {
            let reply = steer(bed, &run, how).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, "BAD_REQUEST"), "{how}");
        }
        bed.signal("paid", json!({})).await;
        assert_eq!(bed.data(&run).await["status"], "cancelled");
        let nowhere = steer(bed, "/api/v1/runs/run_00000000000000000000000000000000", "cancel").await;
        assert_eq!(nowhere.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_run_keeps_what_comes_until_it_is_resumed() {
    on_both(async |bed| {
        bed.load("order", "", &format!("do:\n- pay:\n    {LISTEN}\n- note:\n    set: {{ paid: true }}\n"))
            .await;
        let run = begun(bed, "order").await;
        waits(bed, &run).await;
        for _ in 0..2 {
            let reply = steer(bed, &run, "suspend").await;
            assert_eq!(
                (reply.status, &reply.json()["data"]["status"]),
                (200, &json!("suspended")),
                "{}",
                reply.text()
            );
        }
        // Lists show phases that have lasted: the engine writes them down a moment later.
        bed.until("/api/v1/runs?status=suspended", |runs| {
            runs.as_array().is_some_and(|runs| runs.len() == 1)
        })
        .await;
        bed.signal("paid", json!({"n": 1})).await;
        assert_eq!(bed.data(&run).await["status"], "suspended");

        let resumed = steer(bed, &run, "resume").await;
        assert_eq!(resumed.status, 200, "{}", resumed.text());
        let ended = bed.until(&run, |run| run.get("endedAt").is_some()).await;
        assert_eq!((&ended["status"], &ended["output"]), (&json!("completed"), &json!({"paid": true})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_keeps_the_definition_it_began_with() {
    on_both(async |bed| {
        let rest = |n: i32| format!("do:\n- pay:\n    {LISTEN}\n- note{n}:\n    set: {{ n: {n} }}\n");
        bed.load("order", "", &rest(1)).await;
        let old = begun(bed, "order").await;
        waits(bed, &old).await;
        bed.load("order", "", &rest(2)).await;
        let new = begun(bed, "order").await;
        waits(bed, &new).await;
        assert_eq!(
            bed.send("DELETE", "/api/v1/workflows/shop/order?force=true", &[OPERATOR], "").await.status,
            200
        );

        bed.signal("paid", json!({})).await;
        for (run, n, task) in [(old, 1, "note1"), (new, 2, "note2")] {
            let ended = bed.until(&run, |run| run.get("endedAt").is_some()).await;
            assert_eq!((&ended["output"], &ended["tasks"][1]["name"]), (&json!({"n": n}), &json!(task)));
        }
    })
    .await;
}
