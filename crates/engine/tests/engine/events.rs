//! Runs that emit, listen and wait.
//!
//! Invariant: a run consumes a signal once, whether it came before or after the run began to listen.
//! Not here: faults in between (`faults.rs`).

use crate::support::{Bed, on_both, tenant, until, workflow};
use openevent_domain::id::RunId;
use serde_json::json;

const LISTEN: &str = "listen: { to: { one: { with: { type: a } } } }";

async fn until_waiting(bed: &Bed, run: &RunId) {
    until("the run waits", async || {
        let found = bed.witness.run(&tenant(), run).await.expect("an answer").expect("a run");
        (found.status == "waiting").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emitted_event_is_a_signal_that_starts_another_workflow() {
    on_both(async |bed| {
        let emit = "do:\n- tell:\n    emit: { event: { with: { type: order.confirmed, source: 'https://shop.example', data: { n: '${ $workflow.input[0].data.n }' } } } }\n";
        let ship = "do:\n- note:\n    set: { shipped: '${ $workflow.input[0].data.n }', from: '${ $workflow.input[0].source }' }\n";
        bed.load(&[
            &workflow("confirm", "{ type: order.created }", emit),
            &workflow("ship", "{ type: order.confirmed }", ship),
        ])
        .await;
        let node = bed.node().await;

        let first = bed.ended(&node.start_run("order.created", json!({"n": 7})).await).await;
        let second = bed.all_ended("ship", 1).await;

        let emitted = bed.signals_of("order.confirmed").await;
        assert_eq!((emitted.len(), second.len()), (1, 1));
        assert_eq!(first.output.unwrap()["id"], json!(emitted[0].id));
        assert_eq!(second[0].event_id.as_ref(), Some(&emitted[0].id));
        assert_eq!(second[0].output, Some(json!({"shipped": 7, "from": "https://shop.example"})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_listens_is_woken_by_the_signal_it_wants() {
    on_both(async |bed| {
        let rest = "do:\n- pay:\n    listen: { to: { one: { with: { type: paid, data: '${ .id == $workflow.input[0].data.id }' } } } }\n";
        bed.load(&[&workflow("order", "{ type: ordered }", rest)]).await;
        let node = bed.node().await;
        let (one, two) = (
            node.start_run("ordered", json!({"id": 1})).await,
            node.start_run("ordered", json!({"id": 2})).await,
        );
        until_waiting(bed, &one).await;
        until_waiting(bed, &two).await;

        node.send("paid", json!({"id": 2, "by": "card"})).await;
        let second = bed.ended(&two).await;
        let first = bed.witness.run(&tenant(), &one).await.unwrap().unwrap();
        node.send("paid", json!({"id": 1})).await;

        assert_eq!(second.output, Some(json!([{"id": 2, "by": "card"}])));
        assert_eq!((first.status.as_str(), first.ended_at), ("waiting", None));
        assert_eq!(bed.ended(&one).await.output, Some(json!([{"id": 1}])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn look_back_finds_a_signal_that_came_before_and_consumes_it_once() {
    on_both(async |bed| {
        let rest = format!("do:\n- first:\n    {LISTEN}\n    export: {{ as: '${{ {{ first: . }} }}' }}\n- second:\n    {LISTEN}\n- both:\n    set: {{ first: '${{ $context.first }}', second: '${{ . }}' }}\n");
        bed.load(&[&workflow("twice", "{ type: go }", &rest)]).await;
        let node = bed.node().await;
        node.send("a", json!({"n": 1})).await;

        let run = node.start_run("go", json!({})).await;
        until("the first signal is consumed", async || {
            (!bed.witness.journal(&run).await.unwrap().is_empty()).then_some(())
        })
        .await;
        until_waiting(bed, &run).await;
        node.send("a", json!({"n": 2})).await;

        let output = bed.ended(&run).await.output;
        assert_eq!(output, Some(json!({"first": [{"n": 1}], "second": [{"n": 2}]})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_does_not_consume_the_signal_that_started_it_again() {
    on_both(async |bed| {
        bed.load(&[&workflow("again", "{ type: a }", &format!("do:\n- next:\n    {LISTEN}\n"))]).await;
        let node = bed.node().await;

        let run = node.start_run("a", json!({"n": 1})).await;
        until_waiting(bed, &run).await;
        node.send("a", json!({"n": 2})).await;

        assert_eq!(bed.ended(&run).await.output, Some(json!([{"n": 2}])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_from_before_the_look_back_is_not_seen() {
    on_both(async |bed| {
        let late = workflow("late", "{ type: go }", &format!("do:\n- next:\n    {LISTEN}\n"));
        let note = workflow("note", "{ type: a }", "do:\n- note:\n    set: { noted: true }\n");
        bed.load(&[&late, &note]).await;
        let node = bed.node().await;
        // The signal must have passed a running engine: one that starts hears of it late.
        let passed = node.start_run("a", json!({"n": 1})).await;
        bed.ended(&passed).await;
        bed.clock.advance(61_000);

        let run = node.start_run("go", json!({})).await;
        until_waiting(bed, &run).await;
        node.send("a", json!({"n": 2})).await;

        assert_eq!(bed.ended(&run).await.output, Some(json!([{"n": 2}])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_waits_as_long_as_it_says() {
    on_both(async |bed| {
        let rest = "do:\n- pause:\n    wait: { milliseconds: 120 }\n- note:\n    set: { rested: true }\n";
        bed.load(&[&workflow("rest", "{ type: go }", rest)]).await;
        let node = bed.node().await;

        let ended = bed.ended(&node.start_run("go", json!({})).await).await;

        assert_eq!(ended.output, Some(json!({"rested": true})));
        let took_ms = ended.ended_at.unwrap() - ended.started_at;
        assert!(took_ms >= 120, "{took_ms} ms");
    })
    .await;
}
