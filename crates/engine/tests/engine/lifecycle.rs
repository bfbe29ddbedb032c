//! Lifecycle events: what runs live through, as signals.
//!
//! Invariant: only what somebody asks for is told, and who is started by it tells nothing.
//! Not here: streams (the server's tests).

use crate::support::{Bed, on_both, until, workflow};
use openevent_engine::{Lifecycle, Settings};
use serde_json::json;

const ORDER: &str = "do:\n- first:\n    set: { n: 1 }\n- second:\n    raise: { error: { type: 'https://shop.example/no', status: 418 } }\n";

fn named(verb: &str) -> String {
    format!("io.serverlessworkflow.{verb}.v1")
}

async fn names(bed: &Bed) -> Vec<String> {
    let filter = openevent_store::signals::Filter::default();
    let (order, place) =
        (openevent_store::signals::Order::OldestFirst, openevent_store::signals::Place::Offset(0));
    let found = bed
        .witness
        .signals(&crate::support::tenant(), &filter, order, place, 1_000)
        .await
        .expect("an answer");
    found.into_iter().map(|signal| signal.name).filter(|name| name.starts_with("io.")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_to_faults_is_started_by_them_with_the_reference_s_fields_and_tells_nothing_himself() {
    on_both(async |bed| {
        let filter = format!("{{ type: {} }}", named("workflow.faulted"));
        let report = workflow("report", &filter, "do:\n- no:\n    raise: { error: { type: 'https://shop.example/no', status: 500 } }\n");
        let everything = "document: { dsl: '1.0.0', namespace: shop, name: everything, version: '1.0.0' }\nschedule: { on: { any: [] } }\ndo:\n- note:\n    set: { done: true }\n";
        bed.load(&[&workflow("order", "{ type: go }", ORDER), &report, everything]).await;
        let node = bed.node().await;

        let run = node.start_run_of("order", "go", json!({})).await;
        let ended = bed.ended(&run).await;
        let reports = bed.all_ended("report", 1).await;
        let all = bed.all_ended("everything", 1).await;

        assert_eq!(names(bed).await, [named("workflow.faulted")]);
        let told = &reports[0].input[0]["data"];
        assert_eq!(told["name"], format!("order-{run}.shop"));
        assert_eq!(told["error"], ended.error.unwrap());
        assert!(told["faultedAt"].as_str().is_some());
        assert_eq!((reports.len(), reports[0].status.as_str(), all.len()), (1, "faulted", 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_told_where_the_operator_wants_all_and_none_where_nobody_listens() {
    on_both(async |bed| {
        bed.load(&[&workflow("order", "{ type: go }", ORDER)]).await;
        let silent = bed.node().await;
        bed.ended(&silent.start_run("go", json!({})).await).await;
        assert_eq!(names(bed).await, Vec::<String>::new());
        silent.stop().await;

        let settings = Settings { lifecycle: Lifecycle::All, ..Settings::default() };
        let node = bed.node_with(settings).await;
        bed.ended(&node.start_run("go", json!({})).await).await;

        let told = names(bed).await;
        let count = |verb: &str| told.iter().filter(|name| **name == named(verb)).count();
        let once = ["workflow.started", "workflow.faulted", "task.completed", "task.faulted"].map(count);
        assert_eq!(once, [1; 4], "{told:?}");
        assert_eq!([count("task.created"), count("task.started")], [2, 2], "{told:?}");
        assert_eq!(told.first(), Some(&named("workflow.started")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_that_asks_for_them_counts_as_a_listener_while_it_is_open() {
    on_both(async |bed| {
        bed.load(&[&workflow("order", "{ type: go }", ORDER)]).await;
        let node = bed.node().await;
        let seat = node.engine.audience(&crate::support::tenant(), "io.serverlessworkflow.workflow.*");
        bed.ended(&node.start_run("go", json!({})).await).await;
        drop(seat);
        bed.ended(&node.start_run("go", json!({})).await).await;

        let told = names(bed).await;

        assert!(told.contains(&named("workflow.started")) && told.contains(&named("workflow.faulted")));
        assert_eq!(told.iter().filter(|name| **name == named("workflow.started")).count(), 1, "{told:?}");
        assert!(told.iter().all(|name| name.contains(".workflow.")));
        assert!(node.engine.audience(&crate::support::tenant(), "order.*").is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_listens_for_them_hears_what_another_lives_through() {
    on_both(async |bed| {
        let listen = "do:\n- heard: { listen: { to: { one: { with: { type: io.serverlessworkflow.workflow.faulted.v1 } } } } }\n";
        bed.load(&[&workflow("order", "{ type: go }", ORDER), &workflow("watch", "{ type: watch }", listen)]).await;
        let node = bed.node().await;
        let watching = node.start_run("watch", json!({})).await;

        // What begins to listen may be heard of a moment later.
        let heard = until("it hears of one", async || {
            bed.ended(&node.start_run_of("order", "go", json!({})).await).await;
            let found = bed.witness.run(&crate::support::tenant(), &watching).await.expect("an answer");
            found.filter(|run| run.ended_at.is_some())
        })
        .await;

        assert_eq!(heard.status, "completed");
    })
    .await;
}
