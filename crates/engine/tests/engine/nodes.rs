//! Two engines on one PostgreSQL.
//!
//! Invariant: one of them drives; should both believe that they do, the journal lets only one of them write.
//! Not here: one engine after the other on one store (`restart.rs`).

use crate::support::{Bed, Node, tenant, until, workflow};
use openevent_engine::{Control, Unheard};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;

async fn holder(bed: &Bed) -> String {
    until("an engine holds the lease", async || bed.witness.lease_holder("engine").await.expect("an answer"))
        .await
}

async fn calling(bed: &Bed, receiver: &Receiver) {
    let rest = format!(
        "do:\n- ask:\n    call: http\n    with: {{ method: post, endpoint: '{}' }}\n- tell:\n    emit: {{ event: {{ with: {{ type: told, source: 'https://shop.example' }} }} }}\n",
        receiver.url("/")
    );
    bed.load(&[&workflow("call", "{ type: go }", &rest)]).await;
}

async fn send(node: &Node, count: usize) {
    for n in 0..count {
        node.start_run("go", json!({ "n": n })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_holder_of_the_lease_drives_and_the_other_takes_over() {
    let (bed, receiver) = (Bed::postgres().await, Receiver::start().await);
    calling(&bed, &receiver).await;
    let first = bed.node().await;
    let held_first = holder(&bed).await;
    let second = bed.node_elsewhere().await;

    send(&first, 5).await;
    send(&second, 5).await;
    bed.all_ended("call", 10).await;
    let (calls_of_first, still_held) = (receiver.count(), holder(&bed).await);
    first.stop().await;
    send(&second, 5).await;
    bed.all_ended("call", 15).await;

    assert_eq!((calls_of_first, receiver.count()), (10, 15), "no run is called for twice");
    assert_eq!(still_held, held_first);
    assert_ne!(holder(&bed).await, held_first);
    assert_eq!(bed.signals_of("told").await.len(), 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_engine_repeats_the_call_the_last_one_left() {
    let (bed, receiver) = (Bed::postgres().await, Receiver::start().await);
    receiver.answer_with(|_, n| if n == 0 { Answer::hang() } else { Answer::status(200) });
    calling(&bed, &receiver).await;
    let first = bed.node().await;
    holder(&bed).await;
    let second = bed.node_elsewhere().await;
    let run = first.start_run("go", json!({})).await;
    receiver.wait_for(1).await;

    first.stop().await;
    let ended = bed.ended(&run).await;

    assert_eq!(ended.status, "completed");
    let keys =
        receiver.requests().into_iter().map(|request| request.header("idempotency-key").map(str::to_owned));
    let keys: Vec<_> = keys.collect();
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].is_some(), "{keys:?}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_engines_that_both_believe_to_hold_the_lease_do_nothing_twice() {
    let (bed, receiver) = (Bed::postgres().await, Receiver::start().await);
    calling(&bed, &receiver).await;
    let first = bed.node().await;
    let held_first = holder(&bed).await;
    let second = bed.node_elsewhere().await;

    // For the second, the first one's lease has long expired; the first has not noticed yet.
    second.clock.advance(60_000);
    send(&first, 10).await;
    until("the other engine drives", async || (holder(&bed).await != held_first).then_some(())).await;
    send(&first, 20).await;
    send(&second, 20).await;
    let ended = bed.all_ended("call", 50).await;

    assert!(ended.len() == 50 && ended.iter().all(|run| run.status == "completed"));
    assert_eq!(bed.signals_of("told").await.len(), 50, "each run emitted once");
    for run in &ended {
        let journal = bed.witness.journal(&run.id).await.unwrap();
        assert_eq!(journal.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2], "{}", run.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_hears_a_signal_that_another_node_took_in() {
    let bed = Bed::postgres().await;
    let rest = "do:\n- next:\n    listen: { to: { one: { with: { type: a } } } }\n";
    bed.load(&[&workflow("listen", "{ type: go }", rest)]).await;
    let first = bed.node().await;
    holder(&bed).await;
    let second = bed.node_elsewhere().await;
    let run = first.start_run("go", json!({})).await;
    until("the run waits", async || {
        let found = bed.witness.run(&tenant(), &run).await.unwrap().unwrap();
        (found.status == "waiting").then_some(())
    })
    .await;

    second.send("a", json!({"n": 1})).await;

    assert_eq!(bed.ended(&run).await.output, Some(json!([{"n": 1}])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_does_not_drive_says_so() {
    let (bed, receiver) = (Bed::postgres().await, Receiver::start().await);
    receiver.answer_with(|_, _| Answer::hang());
    calling(&bed, &receiver).await;
    let first = bed.node().await;
    holder(&bed).await;
    let second = bed.node_elsewhere().await;
    let run = first.start_run("go", json!({})).await;
    receiver.wait_for(1).await;

    let there = second.engine.control(&tenant(), &run, Control::Cancel).await;
    let here = first.engine.control(&tenant(), &run, Control::Cancel).await;

    // A cluster is told by any node.
    let expected = if crate::ON_A_CLUSTER { (Ok(true), Ok(false)) } else { (Err(Unheard), Ok(true)) };
    assert_eq!((there, here), expected);
    assert_eq!(bed.ended(&run).await.status, "cancelled");
}
