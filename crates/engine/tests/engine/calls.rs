//! Calls that fail, are caught, or are no longer wanted.
//!
//! Invariant: an ended run has nothing under way.
//! Not here: repeating calls after a restart (`restart.rs`).

use crate::support::{on_both, tenant, workflow};
use openevent_domain::id::RunId;
use openevent_engine::{Control, Settings};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;

fn calling(receiver: &Receiver) -> String {
    let rest = format!(
        "do:\n- ask:\n    call: http\n    with: {{ method: get, endpoint: '{}' }}\n",
        receiver.url("/")
    );
    workflow("call", "{ type: go }", &rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_outside_the_good_range_faults_the_run() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, _| Answer::status(503));
        bed.load(&[&calling(&receiver)]).await;
        let node = bed.node().await;

        let ended = bed.ended(&node.start_run("go", json!({})).await).await;

        assert_eq!((ended.status.as_str(), ended.output), ("faulted", None));
        let error = ended.error.unwrap();
        assert!(error["type"].as_str().unwrap().ends_with("/errors/communication"), "{error}");
        assert_eq!(error["status"], json!(503));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caught_failure_is_tried_again_under_another_key() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, n| if n == 0 { Answer::status(500) } else { Answer::json(&json!({"n": 1})) });
        let rest = format!(
            "do:\n- careful:\n    try:\n    - ask:\n        call: http\n        with: {{ method: get, endpoint: '{}' }}\n    catch:\n      errors: {{ with: {{ status: 500 }} }}\n      retry: {{ delay: {{ milliseconds: 1 }}, limit: {{ attempt: {{ count: 3 }} }} }}\n",
            receiver.url("/")
        );
        bed.load(&[&workflow("retry", "{ type: go }", &rest)]).await;
        let node = bed.node().await;

        let ended = bed.ended(&node.start_run("go", json!({})).await).await;

        assert_eq!(ended.output, Some(json!({"n": 1})), "{:?}", ended.error);
        let keys: Vec<_> =
            receiver.requests().iter().map(|request| request.header("idempotency-key").unwrap().to_owned()).collect();
        assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_a_run_ends_it_and_its_call() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, n| if n == 0 { Answer::hang() } else { Answer::status(200) });
        bed.load(&[&calling(&receiver)]).await;
        // One call at a time: the second run can only call when the first one's call is gone.
        let node = bed.node_with(Settings { calls_max: 1, ..Settings::default() }).await;
        let (hung, next) = (node.start_run("go", json!({})).await, node.start_run("go", json!({})).await);
        receiver.wait_for(1).await;

        let first = receiver.requests()[0].header("idempotency-key").unwrap().to_owned();
        let (hung, next) = if first.starts_with(hung.as_str()) { (hung, next) } else { (next, hung) };
        let cancelled = node.engine.control(&tenant(), &hung, Control::Cancel).await.unwrap();
        let again = node.engine.control(&tenant(), &hung, Control::Cancel).await.unwrap();

        assert!(cancelled && !again);
        assert_eq!(bed.ended(&hung).await.status, "cancelled");
        assert_eq!(bed.ended(&next).await.status, "completed");
        assert_eq!(receiver.count(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_cancels_the_runs_of_another_tenant() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, _| Answer::hang());
        bed.load(&[&calling(&receiver)]).await;
        let node = bed.node().await;
        let run = node.start_run("go", json!({})).await;
        receiver.wait_for(1).await;

        let stranger = openevent_domain::tenant::Tenant::trusted("prj_1.test".into());
        let theirs = node.engine.control(&stranger, &run, Control::Cancel).await.unwrap();
        let unknown =
            node.engine.control(&tenant(), &RunId::trusted("run_x".into()), Control::Cancel).await.unwrap();

        assert!(!theirs && !unknown);
        assert!(node.engine.control(&tenant(), &run, Control::Cancel).await.unwrap());
        bed.ended(&run).await;
    })
    .await;
}
