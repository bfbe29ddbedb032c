//! Every store call of a run's way fails once, or is done and its answer lost: the end is the same.
//!
//! Invariant: after any single fault each run ends once and each event is emitted once.
//! Not here: faults of the network.

use crate::support::{Bed, Node, on_both, tenant, workflow, write};
use openevent_store::Faults;
use openevent_testkit::Receiver;
use serde_json::json;

/// Rounds in a row without a strike that end a sweep. One is not enough: a turn that is on disk may be seen
/// before its answer is lost, and how many turns a run takes depends on what else is in them.
const QUIET_ROUNDS: i64 = 3;

/// Sends one signal per round with the round's fault armed, and lets `check` wait for the end of it. Ends when
/// the faults come too late to strike anything; answers the last round that one struck.
pub(crate) async fn sweep(node: &Node, arm: impl Fn(&Faults, i64), check: impl AsyncFn(i64)) -> i64 {
    let (mut round, mut last_struck) = (0, 0);
    while round - last_struck < QUIET_ROUNDS {
        round += 1;
        let admitted = node.admit("order.created", json!({ "round": round })).expect("an admitted message");
        arm(node.store.faults(), round);
        write(&node.store, &admitted).await;
        check(round).await;
        if !node.store.faults().is_armed() {
            last_struck = round;
        }
    }
    arm(node.store.faults(), 0);
    last_struck
}

async fn emitting(bed: &Bed, receiver: &Receiver) -> Node {
    let call =
        format!("- ask:\n    call: http\n    with: {{ method: post, endpoint: '{}' }}\n", receiver.url("/"));
    let data = "{ round: '${ $workflow.input[0].data.round }' }";
    let emit = format!(
        "- tell:\n    emit: {{ event: {{ with: {{ type: order.confirmed, source: 'https://shop.example', data: {data} }} }} }}\n"
    );
    let confirm = workflow("confirm", "{ type: order.created }", &format!("do:\n{call}{emit}"));
    let ship = workflow("ship", "{ type: order.confirmed }", "do:\n- note:\n    set: { shipped: true }\n");
    bed.load(&[&confirm, &ship]).await;
    bed.node().await
}

/// Both workflows have so many ended runs, and so many events were emitted, all different.
async fn converged(bed: &Bed, rounds: i64) {
    let rounds = rounds as usize;
    for name in ["confirm", "ship"] {
        let ended = bed.all_ended(name, rounds).await;
        assert!(
            ended.len() == rounds && ended.iter().all(|run| run.status == "completed"),
            "{name}: {ended:?}"
        );
    }
    let emitted = bed.signals_of("order.confirmed").await;
    let mut seen: Vec<_> = emitted.iter().map(|signal| signal.payload["round"].as_i64()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((emitted.len(), seen.len()), (rounds, rounds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emit_starts_the_next_workflow_once_whichever_call_fails() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let node = emitting(bed, &receiver).await;

        let struck = sweep(&node, Faults::arm, async |round| converged(bed, round).await).await;

        assert!(struck >= 2, "{struck}");
        assert_keys(bed, &receiver).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emit_starts_the_next_workflow_once_whichever_answer_is_lost() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let node = emitting(bed, &receiver).await;

        let struck = sweep(&node, Faults::arm_answer, async |round| converged(bed, round).await).await;

        assert!(struck >= 2, "{struck}");
        assert_keys(bed, &receiver).await;
    })
    .await;
}

/// Every run called under exactly one key, and every call had one.
async fn assert_keys(bed: &Bed, receiver: &Receiver) {
    let requests = receiver.requests();
    let mut keys: Vec<_> =
        requests.iter().map(|request| request.header("idempotency-key").expect("a key").to_owned()).collect();
    keys.sort_unstable();
    keys.dedup();
    let runs = bed.runs_of("confirm").await;
    assert_eq!(keys.len(), runs.len());
    assert!(runs.iter().all(|run| keys.iter().any(|key| key.starts_with(run.id.as_str()))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_gets_its_earlier_signal_whichever_call_fails() {
    on_both(async |bed| {
        let wanted = "{ type: a, data: '${ .round == $workflow.input[0].data.round }' }";
        let rest = format!("do:\n- next:\n    listen: {{ to: {{ one: {{ with: {wanted} }} }} }}\n");
        bed.load(&[&workflow("listen", "{ type: order.created }", &rest)]).await;
        let node = bed.node().await;
        for round in 1..60 {
            write(&bed.witness, &node.admit("a", json!({ "round": round })).unwrap()).await;
        }

        let struck = sweep(&node, Faults::arm, async |round| {
            let ended = bed.all_ended("listen", round as usize).await;
            let last = ended.last().expect("a run");
            assert_eq!(last.output, Some(json!([{ "round": round }])));
        })
        .await;

        assert!(struck >= 2, "{struck}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_is_told_of_the_end_whichever_answer_is_lost() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let node = emitting(bed, &receiver).await;
        for n in 1..=4 {
            let admitted = node.admit("order.created", json!({ "round": n })).unwrap();
            let watching = node.engine.watch(&admitted.runs[0].id).await.unwrap();

            node.store.faults().arm_answer(n);
            write(&node.store, &admitted).await;
            let told = tokio::time::timeout(openevent_testkit::PATIENCE, watching).await;

            assert!(matches!(told, Ok(Ok(()))), "after lost answer {n}: {told:?}");
            let found = bed.witness.run(&tenant(), &admitted.runs[0].id).await.unwrap().unwrap();
            assert_eq!(found.status, "completed");
            node.store.faults().arm_answer(0);
        }
    })
    .await;
}
