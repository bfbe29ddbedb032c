//! Workflows that start when several events have come.
//!
//! Invariant: a set of events starts one run, and each event is spent once.
//! Not here: which events make a set (`flow`).

use crate::faults::sweep;
use crate::support::{Bed, Node, on_both, tenant, triggers, until, write};
use openevent_store::{Faults, Path};
use serde_json::json;

const BOTH: &str = "document: { dsl: '1.0.0', namespace: shop, name: both, version: '1.0.0' }\n\
schedule: { on: { all: [ { with: { type: order.created } }, { with: { type: order.paid } } ] } }\n\
do:\n- note:\n    set: { names: '${ [$workflow.input[].type] }' }\n";

async fn kept(bed: &Bed) -> usize {
    let path = Path { tenant: tenant(), namespace: "shop".into(), name: "both".into() };
    bed.witness.gathered_events(&path).await.expect("an answer").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_that_completes_the_set_starts_the_run_also_after_a_restart() {
    on_both(async |bed| {
        bed.load(&[BOTH]).await;
        let node = bed.node().await;
        let first = node.send("order.created", json!({"n": 1})).await;
        assert_eq!((first.runs.len(), first.kept.len(), kept(bed).await), (0, 1, 1));
        node.stop().await;
        let node: Node = bed.node().await;

        let last = node.send("order.paid", json!({"n": 1})).await;
        let ended = bed.all_ended("both", 1).await;

        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].output, Some(json!({"names": ["order.created", "order.paid"]})));
        assert_eq!(ended[0].event_id.as_ref(), Some(&last.signal.id));
        for signal in [&first.signal.id, &last.signal.id] {
            assert_eq!(triggers(bed, signal).await, [("shop/both".to_owned(), true, None)]);
        }
        assert_eq!(kept(bed).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_starts_one_run_whichever_call_fails_or_answer_is_lost() {
    on_both(async |bed| {
        bed.load(&[BOTH]).await;
        let node = bed.node().await;
        let mut before = 0;
        for arm in [Faults::arm, Faults::arm_answer] {
            let struck = sweep(&node, arm, async |round| {
                let paid = node.admit("order.paid", json!({ "round": round })).unwrap();
                write(&bed.store, &paid).await;
                let ended = bed.all_ended("both", (before + round) as usize).await;
                assert_eq!(ended.len() as i64, before + round);
                until("all is spent", async || (kept(bed).await == 0).then_some(())).await;
            })
            .await;
            assert!(struck >= 2, "{struck}");
            before = bed.runs_of("both").await.len() as i64;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_for_a_workflow_that_is_gone_is_forgotten() {
    on_both(async |bed| {
        bed.load(&[BOTH]).await;
        let node = bed.node().await;
        node.send("order.created", json!({})).await;
        node.stop().await;
        bed.unload("both").await;

        let _node = bed.node().await;

        until("nothing is kept", async || (kept(bed).await == 0).then_some(())).await;
        assert_eq!(bed.runs_of("both").await.len(), 0);
    })
    .await;
}
