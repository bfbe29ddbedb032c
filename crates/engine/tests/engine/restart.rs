//! An engine stops in the middle of things; the next one goes on.
//!
//! Invariant: what was under way is done again under the same key, what was done is not.
//! Not here: SIGKILL (the crash tests of the binary), two engines at one time (`nodes.rs`).

use crate::support::{on_both, tenant, until, workflow};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_cut_off_by_a_restart_is_made_again_under_the_same_key() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(
            |request, _| {
                if request.path() == "/slow" { Answer::hang() } else { Answer::status(200) }
            },
        );
        let call = |name: &str, path: &str| {
            format!(
                "- {name}:\n    call: http\n    with: {{ method: post, endpoint: '{}' }}\n",
                receiver.url(path)
            )
        };
        let rest = format!("do:\n{}{}", call("first", "/quick"), call("second", "/slow"));
        bed.load(&[&workflow("two", "{ type: go }", &rest)]).await;
        let node = bed.node().await;
        let run = node.start_run("go", json!({})).await;
        receiver.wait_for(2).await;

        node.stop().await;
        let node = bed.node().await;
        receiver.wait_for(3).await;
        receiver.answer_with(|_, _| Answer::status(200));
        node.stop().await;
        let _node = bed.node().await;
        let ended = bed.ended(&run).await;

        assert_eq!(ended.status, "completed");
        let calls: Vec<_> = receiver
            .requests()
            .iter()
            .map(|request| (request.path().to_owned(), request.header("idempotency-key").unwrap().to_owned()))
            .collect();
        assert_eq!(calls.iter().filter(|(path, _)| path == "/quick").count(), 1);
        let mut slow: Vec<_> = calls.iter().filter(|(path, _)| path == "/slow").map(|(_, key)| key).collect();
        assert_eq!(slow.len(), 3);
        slow.dedup();
        assert_eq!(slow.len(), 1, "one key for one call");
        assert_eq!(bed.runs_of("two").await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_started_while_no_engine_is_there_are_taken_up() {
    on_both(async |bed| {
        let emit =
            "do:\n- tell:\n    emit: { event: { with: { type: told, source: 'https://shop.example' } } }\n";
        bed.load(&[&workflow("tell", "{ type: go }", emit)]).await;
        let node = bed.node().await;
        let admitted: Vec<_> = (0..30).map(|n| node.admit("go", json!({"n": n})).unwrap()).collect();
        node.stop().await;
        for one in &admitted {
            crate::support::write(&bed.store, one).await;
        }

        let _node = bed.node().await;
        let ended = bed.all_ended("tell", 30).await;

        assert!(ended.iter().all(|run| run.status == "completed"));
        assert_eq!((ended.len(), bed.signals_of("told").await.len()), (30, 30));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_and_a_listener_survive_a_restart() {
    on_both(async |bed| {
        let rest = "do:\n- pause:\n    wait: { milliseconds: 200 }\n- next:\n    listen: { to: { one: { with: { type: a } } } }\n";
        bed.load(&[&workflow("patient", "{ type: go }", rest)]).await;
        let node = bed.node().await;
        let run = node.start_run("go", json!({})).await;
        until("the run waits", async || {
            let found = bed.witness.run(&tenant(), &run).await.unwrap().unwrap();
            (found.status == "waiting").then_some(())
        })
        .await;
        node.stop().await;

        let node = bed.node().await;
        until("the timer has fired", async || (bed.witness.journal(&run).await.unwrap().len() == 1).then_some(()))
            .await;
        let admitted = node.admit("a", json!({"n": 1})).unwrap();
        node.stop().await;
        crate::support::write(&bed.store, &admitted).await;
        let _node = bed.node().await;

        assert_eq!(bed.ended(&run).await.output, Some(json!([{"n": 1}])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ended_is_not_begun_again() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let rest = format!(
            "do:\n- ask:\n    call: http\n    with: {{ method: get, endpoint: '{}' }}\n",
            receiver.url("/")
        );
        bed.load(&[&workflow("call", "{ type: go }", &rest)]).await;
        let first = bed.node().await;
        let runs = [first.start_run("go", json!({})).await, first.start_run("go", json!({})).await];
        for run in &runs {
            bed.ended(run).await;
        }
        first.stop().await;

        let second = bed.node().await;
        let last = second.start_run("go", json!({})).await;
        bed.ended(&last).await;

        assert_eq!(receiver.count(), 3);
    })
    .await;
}
