//! Workflows that say how many of their runs may go on.
//!
//! Invariant: never more go on than the definition says, nobody who may wait is lost, over any restart.
//! Not here: the rules one by one (`gate.rs` in the engine).

use crate::support::{Bed, on_both, tenant, until};
use openevent_engine::Control;
use openevent_store::runs::RunRecord;
use serde_json::json;

fn guarded(rules: &str, rest: &str) -> String {
    format!(
        "document:\n  dsl: '1.0.0'\n  namespace: shop\n  name: guarded\n  version: '1.0.0'\n  metadata: {{ openevent: {rules} }}\nschedule: {{ on: {{ one: {{ with: {{ type: go }} }} }} }}\ndo:\n{rest}"
    )
}

/// Ends when a signal `done` names the run's number.
const UNTIL_DONE: &str = "- hold:\n    listen: { to: { one: { with: { type: done, data: '${ .n == $workflow.input[0].data.n }' } } } }\n";
const AT_ONCE: &str = "- note:\n    set: { done: true }\n";

fn going_on(runs: &[RunRecord]) -> Vec<i64> {
    let begun = runs.iter().filter(|run| run.begun_at.is_some() && run.ended_at.is_none());
    begun.filter_map(|run| run.input[0]["data"]["n"].as_i64()).collect()
}

async fn until_going_on(bed: &Bed, wanted: &[i64]) {
    until("these runs go on", async || {
        let runs = bed.runs_of("guarded").await;
        let now = going_on(&runs);
        assert!(now.len() <= wanted.len().max(1), "too many go on: {now:?}");
        (now == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_lets_runs_in_one_by_one_in_their_order_over_restarts() {
    on_both(async |bed| {
        bed.load(&[&guarded("{ concurrency: { limit: 1 } }", UNTIL_DONE)]).await;
        let mut node = bed.node().await;
        let mut runs = Vec::new();
        for n in 0..4 {
            runs.push(node.start_run("go", json!({ "n": n })).await);
            bed.clock.advance(5);
        }
        for n in 0..4 {
            until_going_on(bed, &[n]).await;
            if n % 2 == 0 {
                node.stop().await;
                node = bed.node().await;
                until_going_on(bed, &[n]).await;
            }
            node.send("done", json!({ "n": n })).await;
            assert_eq!(bed.ended(&runs[n as usize]).await.status, "completed");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_too_many_is_rejected_with_the_reason_and_the_oldest_makes_way() {
    on_both(async |bed| {
        bed.load(&[&guarded("{ concurrency: { limit: 1, strategy: reject } }", UNTIL_DONE)]).await;
        let node = bed.node().await;
        let first = node.start_run("go", json!({"n": 1})).await;
        until_going_on(bed, &[1]).await;
        let second = bed.ended(&node.start_run("go", json!({"n": 2})).await).await;
        assert_eq!(second.status, "cancelled");
        assert!(second.error.unwrap()["detail"].as_str().unwrap().starts_with("concurrency"));

        bed.load(&[&guarded("{ concurrency: { limit: 1, strategy: cancel-oldest } }", UNTIL_DONE)]).await;
        node.engine.registry().refresh().await.unwrap();
        node.start_run("go", json!({"n": 3})).await;

        assert_eq!(bed.ended(&first).await.status, "cancelled");
        until_going_on(bed, &[3]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_can_be_cancelled() {
    on_both(async |bed| {
        bed.load(&[&guarded("{ concurrency: { limit: 1 } }", UNTIL_DONE)]).await;
        let node = bed.node().await;
        node.start_run("go", json!({"n": 1})).await;
        until_going_on(bed, &[1]).await;
        let waiting = node.start_run("go", json!({"n": 2})).await;

        until("the engine has heard of the run", async || {
            node.engine.control(&tenant(), &waiting, Control::Cancel).await.unwrap().then_some(())
        })
        .await;

        let ended = bed.ended(&waiting).await;
        assert_eq!((ended.status.as_str(), ended.begun_at), ("cancelled", None));
        assert_eq!(going_on(&bed.runs_of("guarded").await), [1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debounce_throttle_and_idempotency_hold_over_a_restart() {
    on_both(async |bed| {
        let rules = "{ idempotency: { key: '${ .[0].data.key }', period: PT1H }, throttle: { limit: 1, period: PT10M } }";
        bed.load(&[&guarded(rules, AT_ONCE)]).await;
        let node = bed.node().await;
        let first = bed.ended(&node.start_run("go", json!({"n": 1, "key": "a"})).await).await;
        let slow = node.start_run("go", json!({"n": 2, "key": "b"})).await;
        node.stop().await;
        let node = bed.node().await;
        let again = bed.ended(&node.start_run("go", json!({"n": 3, "key": "a"})).await).await;
        assert_eq!(bed.witness.any_run(&slow).await.unwrap().unwrap().begun_at, None);
        bed.clock.advance(600_000);

        let slow = bed.ended(&slow).await;

        assert_eq!((first.status.as_str(), again.status.as_str()), ("completed", "cancelled"));
        assert!(again.error.unwrap()["detail"].as_str().unwrap().starts_with("idempotency"));
        assert!(slow.begun_at.unwrap() - first.begun_at.unwrap() >= 600_000, "{slow:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_quick_succession_the_last_run_begins() {
    on_both(async |bed| {
        bed.load(&[&guarded("{ debounce: { period: PT1M } }", AT_ONCE)]).await;
        let node = bed.node().await;
        let first = node.start_run("go", json!({"n": 1})).await;
        bed.clock.advance(5);
        let last = node.start_run("go", json!({"n": 2})).await;
        assert_eq!(bed.ended(&first).await.status, "cancelled");
        node.stop().await;
        let _node = bed.node().await;
        bed.clock.advance(60_000);

        let ended = bed.ended(&last).await;

        assert_eq!(ended.status, "completed");
        assert!(ended.begun_at.unwrap() - ended.started_at >= 60_000);
    })
    .await;
}
