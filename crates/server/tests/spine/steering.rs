//! Runs that faulted and go on, workflows that are removed while runs of them go on, schedules that are shown.
//!
//! Invariant: what is answered is what the next look shows.
//! Not here: suspending and cancelling (`waiting`).

use crate::bed::{OPERATOR, code, on_both};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const PATH: &str = "/api/v1/workflows/shop/one";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulted_run_is_retried_from_what_failed() {
    on_both(async |bed| {
        let (shop, well) = (Receiver::start().await, Arc::new(AtomicBool::new(false)));
        let now_well = Arc::clone(&well);
        shop.answer_with(move |request, _| match (request.path(), now_well.load(Ordering::SeqCst)) {
            ("/second", false) => Answer::status(503),
            _ => Answer::json(&json!({"ok": true})),
        });
        let call = |name: &str| {
            format!(
                "- {name}:\n    call: http\n    with: {{ method: post, endpoint: '{}' }}\n",
                shop.url(&format!("/{name}"))
            )
        };
        let rest =
            format!("do:\n{}{}- last:\n    set: {{ done: '${{ .ok }}' }}\n", call("first"), call("second"));
        bed.load("one", "", &rest).await;
        let faulted = bed.post(&format!("{PATH}/runs?wait=30s"), &json!({})).await.json()["data"].clone();
        let path = format!("/api/v1/runs/{}", faulted["id"].as_str().unwrap());
        assert_eq!(faulted["status"], "faulted", "{faulted}");
        well.store(true, Ordering::SeqCst);

        let key = ("idempotency-key", "retry-1");
        let retried = bed.send("POST", &format!("{path}/retry"), &[OPERATOR, key], "").await;
        let ended = bed.ended(&faulted["id"]).await;
        let replayed = bed.send("POST", &format!("{path}/retry"), &[OPERATOR, key], "").await;
        let again = bed.send("POST", &format!("{path}/retry"), &[OPERATOR], "").await;

        let shown = retried.json()["data"].clone();
        assert_eq!(retried.status, 200, "{shown}");
        assert_eq!((shown.get("error"), shown.get("endedAt"), &shown["retries"]), (None, None, &json!(1)));
        assert_eq!(
            (&ended["status"], &ended["output"]),
            (&json!("completed"), &json!({"done": true})),
            "{ended}"
        );
        let paths: Vec<_> = shop.requests().iter().map(|request| request.path().to_owned()).collect();
        assert_eq!(paths, ["/first", "/second", "/second"]);
        assert_eq!((replayed.status, replayed.header("idempotency-replayed")), (200, Some("true")));
        assert_eq!((again.status, code(&again).as_str()), (400, "BAD_REQUEST"));
        let unknown = bed.send("POST", "/api/v1/runs/run_none/retry", &[OPERATOR], "").await;
        assert_eq!((unknown.status, code(&unknown).as_str()), (404, "NOT_FOUND"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_with_live_runs_is_removed_only_when_asked_for() {
    on_both(async |bed| {
        bed.load("one", "", "do:\n- next:\n    listen: { to: { one: { with: { type: a } } } }\n").await;
        let run = bed.post(&format!("{PATH}/runs"), &json!({})).await.json()["data"]["id"].clone();
        bed.until(&format!("/api/v1/runs/{}", run.as_str().unwrap()), |run| run["status"] == "waiting").await;

        let refused = bed.send("DELETE", PATH, &[OPERATOR], "").await;
        let forced = bed.send("DELETE", &format!("{PATH}?force=true"), &[OPERATOR], "").await;
        bed.signal("a", json!({"n": 1})).await;

        assert_eq!((refused.status, code(&refused).as_str()), (409, "CONFLICT"));
        assert!(refused.json()["error"]["message"].as_str().unwrap().starts_with("1 runs"));
        assert_eq!(forced.status, 200);
        assert_eq!(bed.ended(&run).await["output"], json!([{"n": 1}]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_workflow_says_when_it_starts_next() {
    on_both(async |bed| {
        let source = "document: { dsl: '1.0.0', namespace: shop, name: one, version: '1.0.0' }\nschedule: { every: { hours: 1 } }\ndo:\n- note:\n    set: { n: 1 }\n";
        assert_eq!(bed.put("one", source).await.status, 201);

        let shown = bed.data(PATH).await;

        let wait_ms = shown["nextRunAt"].as_i64().unwrap() - shown["updatedAt"].as_i64().unwrap();
        assert_eq!(wait_ms, 3_600_000, "{shown}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_kept_until_others_come_is_acknowledged_as_such() {
    on_both(async |bed| {
        let source = "document: { dsl: '1.0.0', namespace: shop, name: one, version: '1.0.0' }\nschedule: { on: { all: [ { with: { type: a } }, { with: { type: b } } ] } }\ndo:\n- note:\n    set: { n: 1 }\n";
        assert_eq!(bed.put("one", source).await.status, 201);

        let first = bed.signal("a", json!({})).await;
        bed.signal("b", json!({})).await;
        let runs = bed.until("/api/v1/runs", |runs| runs.as_array().is_some_and(|runs| !runs.is_empty())).await;

        assert_eq!((&first["runs"], &first["kept"]), (&json!([]), &json!([{"workflow": "shop/one"}])));
        assert_eq!(runs[0]["workflow"]["name"], "one");
    })
    .await;
}
