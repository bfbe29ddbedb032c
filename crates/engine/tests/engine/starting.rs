//! From a signal to its runs.
//!
//! Invariant: what is refused leaves nothing, what is admitted starts each matching workflow once.
//! Not here: what runs do.

use crate::support::{on_both, tenant, triggers, until, workflow};
use openevent_flow::history;
use openevent_store::WriteSet;
use openevent_testkit::{Answer, Receiver};
use serde_json::json;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_starts_a_run_that_calls_out_and_finishes() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, _| Answer::json(&json!({"ok": true})));
        let body = "{ orderId: '${ $workflow.input[0].data.orderId }' }";
        let call = format!(
            "do:\n- notify:\n    call: http\n    with: {{ method: post, endpoint: '{}', body: {body} }}\n",
            receiver.url("/orders")
        );
        bed.load(&[&workflow("confirm", "{ type: order.created }", &call)]).await;
        let node = bed.node().await;

        let admitted = node.admit("order.created", json!({"orderId": "o-7"})).unwrap();
        let run = admitted.runs[0].id.clone();
        let watching = node.engine.watch(&run).await.unwrap();
        crate::support::write(&node.store, &admitted).await;
        watching.await.unwrap();
        let ended = bed.witness.run(&tenant(), &run).await.unwrap().unwrap();

        assert_eq!((ended.status.as_str(), ended.output), ("completed", Some(json!({"ok": true}))));
        assert_eq!(ended.event_id.as_ref(), Some(&admitted.signal.id));
        let requests = receiver.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!((requests[0].method.as_str(), requests[0].path()), ("POST", "/orders"));
        assert_eq!(requests[0].json(), json!({"orderId": "o-7"}));
        let key = requests[0].header("idempotency-key").unwrap();
        assert!(key.strip_prefix(run.as_str()).is_some_and(|op| op.starts_with('/')), "{key}");
        let matched = triggers(bed, &admitted.signal.id).await;
        assert_eq!(matched, [("shop/confirm".to_owned(), true, None)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_workflow_that_listens_to_a_name_gets_its_own_run() {
    on_both(async |bed| {
        let rest = "do:\n- note:\n    set: { seen: '${ $workflow.input[0].type }' }\n";
        let (one, two) = (workflow("one", "{ type: a.b }", rest), workflow("two", "{ type: a.b }", rest));
        bed.load(&[&one, &two, &workflow("other", "{ type: a.c }", rest)]).await;
        let node = bed.node().await;

        let admitted = node.send("a.b", json!({})).await;

        assert_eq!(admitted.runs.len(), 2);
        for run in &admitted.runs {
            assert_eq!(bed.ended(&run.id).await.output, Some(json!({"seen": "a.b"})));
        }
        assert_eq!(bed.runs_of("other").await.len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_does_not_match_says_why() {
    on_both(async |bed| {
        let filter = "{ type: order.created, data: '${ .total > 100 }' }";
        bed.load(&[&workflow("big", filter, "do:\n- note:\n    set: { big: true }\n")]).await;
        let node = bed.node().await;

        let small = node.send("order.created", json!({"total": 5})).await;
        let big = node.send("order.created", json!({"total": 500})).await;
        let unheard = node.send("order.deleted", json!({})).await;

        assert_eq!((small.runs.len(), big.runs.len(), unheard.runs.len()), (0, 1, 0));
        let why = triggers(bed, &small.signal.id).await;
        assert!(matches!(&why[..], [(name, false, Some(reason))] if name == "shop/big" && reason.starts_with("data ")));
        assert_eq!(triggers(bed, &unheard.signal.id).await, []);
        let stored = bed.signals_of("order.created").await;
        assert_eq!(stored.iter().map(|signal| signal.matched).collect::<Vec<_>>(), [false, true]);
        bed.ended(&big.runs[0].id).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_the_input_schema_refuses_is_not_admitted() {
    on_both(async |bed| {
        let schema = "{ type: object, required: [orderId], properties: { orderId: { type: string } } }";
        let rest = format!(
            "input: {{ schema: {{ format: json, document: {schema} }} }}\ndo:\n- a:\n    set: {{ a: 1 }}\n"
        );
        let open = workflow("open", "{ type: order.created }", "do:\n- a:\n    set: { a: 1 }\n");
        bed.load(&[&open, &workflow("strict", "{ type: order.created }", &rest)]).await;
        let node = bed.node().await;

        let wrong = node.admit("order.created", json!({"orderId": 7})).unwrap_err();
        let missing = node.admit("order.created", json!({})).unwrap_err();
        let right = node.admit("order.created", json!({"orderId": "7"})).unwrap();

        assert_eq!(wrong.0.len(), 1);
        assert_eq!(wrong.0[0].field, "payload.orderId");
        assert_eq!((missing.0.len(), missing.0[0].field.as_str()), (1, "payload.orderId"));
        assert_eq!(right.runs.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_started_by_hand() {
    on_both(async |bed| {
        bed.load(&[&workflow("double", "", "do:\n- a:\n    set: '${ { sum: (.n * 2) } }'\n")]).await;
        let node = bed.node().await;
        let double = node.engine.registry().workflow(&tenant(), "shop", "double", None).unwrap();

        let run = node.engine.spine().start_by_hand(&tenant(), &double, json!({"n": 21}), 1).unwrap();
        let id = run.id.clone();
        let mut set = WriteSet::new();
        set.add_run(Arc::new(run));
        node.store.submit(set).await.unwrap();

        let ended = bed.ended(&id).await;
        assert_eq!((ended.output, ended.event_id), (Some(json!({"sum": 42})), None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_keeps_the_definition_it_began_with() {
    on_both(async |bed| {
        let version = |word: &str| {
            let rest = format!(
                "do:\n- await:\n    listen: {{ to: {{ one: {{ with: {{ type: go.on }} }} }} }}\n- say:\n    set: {{ word: {word} }}\n"
            );
            workflow("talk", "{ type: go }", &rest)
        };
        bed.load(&[&version("old")]).await;
        let node = bed.node().await;
        let first = node.start_run("go", json!({})).await;

        bed.load(&[&version("new")]).await;
        node.engine.registry().refresh().await.unwrap();
        let second = node.start_run("go", json!({})).await;
        for run in [&first, &second] {
            until("the run waits", async || {
                let found = bed.witness.run(&tenant(), run).await.unwrap().unwrap();
                (found.status == "waiting").then_some(())
            })
            .await;
        }
        node.send("go.on", json!({})).await;

        assert_eq!(bed.ended(&first).await.output, Some(json!({"word": "old"})));
        assert_eq!(bed.ended(&second).await.output, Some(json!({"word": "new"})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_of_an_ended_run_replays_to_its_end() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, _| Answer::json(&json!({"price": 3})));
        let rest = format!(
            "do:\n- ask:\n    call: http\n    with: {{ method: get, endpoint: '{}' }}\n- pause:\n    wait: {{ milliseconds: 5 }}\n- tell:\n    emit: {{ event: {{ with: {{ type: told, source: 'https://shop.example' }} }} }}\n- sum:\n    set: {{ done: true }}\n",
            receiver.url("/price")
        );
        bed.load(&[&workflow("story", "{ type: go }", &rest)]).await;
        let node = bed.node().await;
        let ended = bed.ended(&node.start_run("go", json!({})).await).await;

        let definition = node.engine.registry().definition(&ended.definition_hash).await.unwrap().unwrap();
        let started = openevent_flow::Input::Started {
            input: ended.input.clone(),
            run_id: ended.id.as_str().to_owned(),
            by_events: ended.by_events,
        };
        let journal = bed.witness.journal(&ended.id).await.unwrap();
        let places: Vec<_> = journal.iter().map(|entry| entry.seq).collect();
        let inputs = journal.iter().map(|entry| (entry.at, serde_json::from_str(&entry.input).unwrap()));
        let (run, tasks) = history(&definition, std::iter::once((ended.started_at, started)).chain(inputs));

        assert!(run.is_finished() && run.status().as_str() == ended.status, "{:?}", run.status());
        assert_eq!(places, [1, 2, 3]);
        let names: Vec<_> = tasks.iter().map(|task| (task.name.as_str(), task.status.as_str())).collect();
        assert_eq!(names, ["ask", "pause", "tell", "sum"].map(|name| (name, "completed")));
        assert_eq!(tasks[3].output, ended.output);
    })
    .await;
}
