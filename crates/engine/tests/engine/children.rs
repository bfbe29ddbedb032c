//! Workflows that run workflows.
//!
//! Invariant: a child runs once and its parent hears of its end once, whatever fails in between.
//! Not here: what the language makes of the answer (`flow`).

use crate::faults::sweep;
use crate::support::{Bed, on_both, tenant, until, workflow};
use openevent_domain::id::RunId;
use openevent_engine::Control;
use openevent_store::Faults;
use openevent_store::runs::RunRecord;
use openevent_testkit::{Answer, Receiver};
use serde_json::json;

fn running(child: &str, more: &str) -> String {
    format!(
        "do:\n- below:\n    run: {{ workflow: {{ namespace: shop, name: {child}, version: '1.0.0', input: {{ n: 20 }} }}{more} }}\n"
    )
}

async fn child_of(bed: &Bed, name: &str, parent: &RunId) -> RunRecord {
    until("the child is there", async || {
        let found = bed.runs_of(name).await;
        found.into_iter().find(|run| run.parent.as_ref().is_some_and(|above| above.run == *parent))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_gets_its_childs_output() {
    on_both(async |bed| {
        let double = workflow("double", "", "do:\n- double:\n    set: { n: '${ $workflow.input.n * 2 }' }\n");
        bed.load(&[&double, &workflow("above", "{ type: go }", &running("double", ""))]).await;
        let node = bed.node().await;

        let run = node.start_run("go", json!({})).await;
        let ended = bed.ended(&run).await;

        assert_eq!((ended.status.as_str(), ended.output), ("completed", Some(json!({"n": 40}))));
        let child = child_of(bed, "double", &run).await;
        assert_eq!((child.status.as_str(), child.parent.map(|parent| parent.depth)), ("completed", Some(1)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_childs_fault_is_its_parents_and_an_unknown_workflow_is_one_of_configuration() {
    on_both(async |bed| {
        let broken = "do:\n- no:\n    raise: { error: { type: 'https://shop.example/no', status: 418, title: 'No' } }\n";
        bed.load(&[
            &workflow("broken", "", broken),
            &workflow("above", "{ type: go }", &running("broken", "")),
            &workflow("lost", "{ type: lose }", &running("nowhere", "")),
        ])
        .await;
        let node = bed.node().await;

        let broken = bed.ended(&node.start_run("go", json!({})).await).await;
        let lost = bed.ended(&node.start_run("lose", json!({})).await).await;

        let error = broken.error.unwrap();
        assert_eq!((&error["type"], &error["status"]), (&json!("https://shop.example/no"), &json!(418)));
        assert_eq!(error["instance"], "/do/0/below");
        assert!(lost.error.unwrap()["type"].as_str().unwrap().ends_with("/configuration"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_that_runs_itself_ends_at_a_depth() {
    on_both(async |bed| {
        bed.load(&[&workflow("mirror", "{ type: go }", &running("mirror", ""))]).await;
        let node = bed.node().await;

        let ended = bed.ended(&node.start_run("go", json!({})).await).await;

        assert!(ended.error.unwrap()["detail"].as_str().unwrap().contains("32 deep"));
        assert_eq!(bed.all_ended("mirror", 33).await.len(), 33);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_is_not_awaited_outlives_its_parent() {
    on_both(async |bed| {
        let patient = "do:\n- next:\n    listen: { to: { one: { with: { type: a } } } }\n";
        let above = running("patient", ", await: false");
        bed.load(&[&workflow("patient", "", patient), &workflow("above", "{ type: go }", &above)]).await;
        let node = bed.node().await;

        let run = node.start_run("go", json!({})).await;
        let ended = bed.ended(&run).await;
        let child = child_of(bed, "patient", &run).await;
        until("the child listens", async || {
            let found = bed.witness.run(&tenant(), &child.id).await.unwrap().unwrap();
            (found.status == "waiting").then_some(())
        })
        .await;
        node.send("a", json!({"n": 1})).await;

        assert_eq!(ended.status, "completed");
        assert_eq!(bed.ended(&child.id).await.output, Some(json!([{"n": 1}])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_a_parent_cancels_the_child_it_waits_for() {
    on_both(async |bed| {
        let patient = "do:\n- rest:\n    wait: { hours: 1 }\n";
        bed.load(&[
            &workflow("patient", "", patient),
            &workflow("above", "{ type: go }", &running("patient", "")),
        ])
        .await;
        let node = bed.node().await;
        let run = node.start_run("go", json!({})).await;
        let child = child_of(bed, "patient", &run).await;
        node.stop().await;
        let node = bed.node().await;

        until("the engine has the run", async || {
            node.engine.control(&tenant(), &run, Control::Cancel).await.unwrap().then_some(())
        })
        .await;

        assert_eq!(bed.ended(&run).await.status, "cancelled");
        assert_eq!(bed.ended(&child.id).await.status, "cancelled");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_is_answered_once_whichever_call_fails_or_answer_is_lost() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, _| Answer::json(&json!({"ok": true})));
        let ask = format!(
            "do:\n- ask:\n    call: http\n    with: {{ method: get, endpoint: '{}' }}\n",
            receiver.url("/")
        );
        let tell = "- tell:\n    emit: { event: { with: { type: told, source: 'https://shop.example' } } }\n";
        let above = format!("{}{tell}", running("ask", ""));
        bed.load(&[&workflow("ask", "", &ask), &workflow("above", "{ type: order.created }", &above)]).await;
        let node = bed.node().await;

        let mut before = 0;
        for arm in [Faults::arm, Faults::arm_answer] {
            let struck = sweep(&node, arm, async |round| {
                let rounds = (before + round) as usize;
                let ended = bed.all_ended("above", rounds).await;
                assert!(ended.iter().all(|run| run.status == "completed"), "{ended:?}");
                let below = bed.all_ended("ask", rounds).await;
                assert_eq!((ended.len(), below.len()), (rounds, rounds));
                assert_eq!(bed.signals_of("told").await.len(), rounds);
            })
            .await;
            assert!(struck >= 2, "{struck}");
            before = bed.runs_of("above").await.len() as i64;
        }
    })
    .await;
}
