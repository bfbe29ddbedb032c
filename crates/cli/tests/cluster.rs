//! Servers and workers on one PostgreSQL and a Temporal cluster, as an operator runs them: seen in Temporal, taken away,
//! killed.
//!
//! Invariant: what was acknowledged happens, whoever dies meanwhile, and no call goes out without its key.
//! Not here: what workflows can do (`openevent-engine-temporal` tells the server's own scenarios on a cluster).
#![cfg(feature = "temporal")]

use http::Method;
use openevent_testkit::{
    Answer, HttpClient, PostgresDatabase, Receiver, Reply, ServerCommand, ServerProcess, TemporalServer,
    ask_temporal, postgres_url, temporal_address, until,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_openevent");
const AUTH: (&str, &str) = ("authorization", "Bearer dev-token");
const JSON: (&str, &str) = ("content-type", "application/json");
/// Kills of a worker.
const KILLS: usize = 10;
/// How long everything may take to settle after the last kill.
const SETTLE_MAX: Duration = Duration::from_mins(4);

/// A database and a folder with a workflow that calls twice, with a pause in between.
struct Place {
    database: PostgresDatabase,
    folder: tempfile::TempDir,
    receiver: Receiver,
    temporal: String,
    queue: String,
    client: HttpClient,
}

impl Place {
    async fn new(temporal: String) -> Self {
        let (database, receiver) = (postgres_url().await, Receiver::start().await);
        receiver.answer_with(|_, _| Answer::json(&json!({"ok": true})));
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("workflows")).expect("a folder");
        let call = |name: &str| {
            format!(
                "\x20 - {name}:\n\x20     call: http\n\x20     with: {{method: post, endpoint: {}, body: {{n: '${{ $workflow.input[0].data.n }}'}}}}\n",
                receiver.url(&format!("/{name}"))
            )
        };
        let text = format!(
            "document: {{dsl: '1.0.0', namespace: shop, name: order, version: '1.0.0'}}\n\
             schedule: {{on: {{one: {{with: {{type: order.created}}}}}}}}\n\
             do:\n{}\x20 - pause: {{wait: {{milliseconds: 20}}}}\n{}",
            call("reserve"),
            call("charge")
        );
        std::fs::write(folder.path().join("workflows/order.yaml"), text).expect("a file");
        let queue = database.name().to_owned();
        Self { database, folder, receiver, temporal, queue, client: HttpClient::new() }
    }

    fn set(&self, command: ServerCommand) -> ServerCommand {
        command
            .env("DATABASE_URL", self.database.url())
            .env("OPENEVENT_DATA_DIR", self.folder.path().join("data"))
            .env("OPENEVENT_WORKFLOWS", self.folder.path().join("workflows"))
            .env("OPENEVENT_TEMPORAL_ADDRESS", &self.temporal)
            .env("OPENEVENT_TEMPORAL_TASK_QUEUE", &self.queue)
            .env("OPENEVENT_EGRESS_ALLOW", "127.0.0.0/8")
    }

    fn server(&self) -> ServerCommand {
        self.set(ServerCommand::new(BINARY))
    }

    fn worker(&self) -> ServerCommand {
        self.set(ServerCommand::worker(BINARY))
    }

    async fn get(&self, server: &ServerProcess, path: &str) -> Reply {
        self.client.get(&server.url(path), &[AUTH]).await
    }

    /// Sends so many orders, and answers what their signals are called.
    async fn order(&self, server: &ServerProcess, numbers: std::ops::Range<u64>) -> Vec<String> {
        let mut ids = Vec::new();
        for n in numbers {
            let body = json!({"name": "order.created", "payload": {"n": n}}).to_string();
            let url = server.url("/api/v1/events");
            let reply = self.client.request(Method::POST, &url, &[AUTH, JSON], body).await;
            assert_eq!(reply.status, 202, "{}", reply.text());
            ids.push(reply.json()["event_id"].as_str().expect("an id").to_owned());
        }
        ids
    }

    async fn total(&self, server: &ServerProcess, status: &str) -> u64 {
        let reply = self.get(server, &format!("/api/v1/runs?limit=1&status={status}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["meta"]["total"].as_u64().expect("a total")
    }

    /// Waits until so many runs have completed.
    async fn completed(&self, server: &ServerProcess, count: u64) {
        let until = Instant::now() + SETTLE_MAX;
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while self.total(server, "completed").await < count {
            assert!(Instant::now() < until, "not all of {count} complete:\n{}", server.stderr());
            pace.tick().await;
        }
        assert_eq!(self.total(server, "completed").await, count);
    }

    /// Every run called each of its two addresses under one key of its own, however often.
    fn check_calls(&self, runs: usize) {
        let mut by_key: HashMap<String, (String, Value)> = HashMap::new();
        for request in self.receiver.requests() {
            let key = request.header("idempotency-key").expect("every call has a key").to_owned();
            let call = (request.path().to_owned(), request.json());
            let first = by_key.entry(key).or_insert_with(|| call.clone());
            assert_eq!(*first, call, "one key is one call");
        }
        assert_eq!(by_key.len(), 2 * runs);
        let mut orders: Vec<(String, String)> =
            by_key.into_values().map(|(path, body)| (path, body.to_string())).collect();
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 2 * runs, "every order was reserved and charged by one run each");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_children_of_dispatchers_and_can_be_found_in_temporal() {
    let place = Place::new(temporal_address()).await;
    let server = place.server().start().await;

    let ids = place.order(&server, 0..1).await;
    place.completed(&server, 1).await;

    let runs = place.get(&server, &format!("/api/v1/runs?eventId={}", ids[0])).await.json();
    let run = runs["data"][0]["id"].as_str().expect("a run").to_owned();
    let shown = ask_temporal(&place.temporal, &["workflow", "describe", "--workflow-id", &run]).await;
    let info = &shown["workflowExecutionInfo"];
    assert_eq!(
        (&info["type"]["name"], &info["status"]),
        (&json!("Run"), &json!("WORKFLOW_EXECUTION_STATUS_COMPLETED"))
    );
    let parent = info["parentExecution"]["workflowId"].as_str().expect("a parent");
    assert!(parent.starts_with(&format!("{}/", place.queue)) && parent.contains("/dispatcher/"), "{parent}");
    let query = format!("OpenEventId = '{}' AND OpenEventWorkflow = 'shop/order 1.0.0'", ids[0]);
    until("the run is found by its event", async || {
        let found = ask_temporal(&place.temporal, &["workflow", "list", "--query", &query]).await;
        (found.as_array()?.len() == 1).then_some(())
    })
    .await;
    let dispatcher = ask_temporal(&place.temporal, &["workflow", "describe", "--workflow-id", parent]).await;
    assert_eq!(dispatcher["workflowExecutionInfo"]["status"], "WORKFLOW_EXECUTION_STATUS_RUNNING");
    let tasks = place.get(&server, &format!("/api/v1/runs/{run}")).await.json()["data"]["tasks"].clone();
    let names: Vec<_> = tasks.as_array().expect("tasks").iter().map(|task| task["name"].clone()).collect();
    assert_eq!(names, ["reserve", "pause", "charge"]);
    place.check_calls(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_temporal_is_away_signals_are_accepted_and_run_when_it_is_back() {
    let mut temporal = TemporalServer::start().await;
    let place = Place::new(temporal.address()).await;
    let server = place.server().start().await;
    place.order(&server, 0..3).await;
    place.completed(&server, 3).await;
    temporal.kill().await;

    place.order(&server, 3..23).await;
    let health = until("the server notices", async || {
        let health = place.get(&server, "/health").await;
        (health.status == 200 && health.json()["data"]["status"] == "degraded").then(|| health.json())
    })
    .await;
    let metrics = until("the metrics show what waits", async || {
        let text = place.get(&server, "/metrics").await.text();
        text.contains("openevent_cluster_backlog_runs 20").then_some(text)
    })
    .await;
    let waiting = place.get(&server, "/api/v1/runs?limit=1&status=pending").await.json();
    let path = format!("/api/v1/runs/{}/cancel", waiting["data"][0]["id"].as_str().expect("a run"));
    let cancelled = place.client.request(Method::POST, &server.url(&path), &[AUTH, JSON], "{}").await;
    temporal.start_again().await;
    place.completed(&server, 22).await;

    let run = &cancelled.json()["data"];
    assert_eq!((cancelled.status, &run["status"]), (200, &json!("cancelled")));
    assert_eq!(run["tasks"][0]["status"], "cancelled", "as of a run that was under way");
    assert_eq!(health["data"]["checks"]["temporal"]["status"], "unavailable");
    assert!(metrics.contains("openevent_cluster_backlog_age_seconds"), "{metrics}");
    place.check_calls(22);
    until("the server is well again", async || {
        let health = place.get(&server, "/health").await.json();
        (health["data"]["status"] == "healthy").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_killed_ten_times_and_every_run_completes_once() {
    let place = Place::new(temporal_address()).await;
    let server = place.server().arg("--no-worker").start().await;
    let mut sent = 0;

    for round in 0..KILLS {
        let worker = place.worker().start().await;
        let more = 3 + round as u64 % 4;
        place.order(&server, sent..sent + more).await;
        sent += more;
        // Killed while calls of this round are under way: at another point each time.
        place.receiver.wait_for(place.receiver.count() + 1 + round % 5).await;
        worker.kill().await;
    }
    let _worker = place.worker().start().await;
    place.completed(&server, sent).await;

    place.check_calls(sent as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_coordinates_is_killed_and_another_goes_on() {
    let place = Place::new(temporal_address()).await;
    let (first, second) = (place.server().start().await, place.server().start().await);

    place.order(&first, 0..5).await;
    place.order(&second, 5..10).await;
    place.receiver.wait_for(3).await;
    place.order(&first, 10..15).await;
    first.kill().await;
    place.order(&second, 15..20).await;
    place.completed(&second, 20).await;

    place.check_calls(20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_steered_through_any_server() {
    let place = Place::new(temporal_address()).await;
    let text = "document: {dsl: '1.0.0', namespace: shop, name: patient, version: '1.0.0'}\n\
                do:\n- rest: {wait: {hours: 1}}\n";
    std::fs::write(place.folder.path().join("workflows/patient.yaml"), text).expect("a file");
    let (first, second) = (place.server().start().await, place.server().start().await);
    let post = async |server: &ServerProcess, path: &str| {
        place.client.request(Method::POST, &server.url(path), &[AUTH, JSON], "{}").await
    };
    let started = post(&first, "/api/v1/workflows/shop/patient/runs").await;
    let path = format!("/api/v1/runs/{}", started.json()["data"]["id"].as_str().expect("an id"));
    until("the run waits", async || {
        (place.get(&second, &path).await.json()["data"]["status"] == "waiting").then_some(())
    })
    .await;

    let suspended = post(&second, &format!("{path}/suspend")).await;
    let resumed = post(&first, &format!("{path}/resume")).await;
    let cancelled = post(&second, &format!("{path}/cancel")).await;

    assert_eq!((suspended.status, &suspended.json()["data"]["status"]), (200, &json!("suspended")));
    assert_eq!((resumed.status, &resumed.json()["data"]["status"]), (200, &json!("waiting")));
    assert_eq!((cancelled.status, &cancelled.json()["data"]["status"]), (200, &json!("cancelled")));
    let audit = place.get(&first, "/api/v1/audit?limit=10").await.json();
    let actions: Vec<_> =
        audit["data"].as_array().expect("rows").iter().filter_map(|row| row["action"].as_str()).collect();
    for action in ["run.suspend", "run.resume", "run.cancel"] {
        assert_eq!(actions.iter().filter(|one| **one == action).count(), 1, "{actions:?}");
    }
}

#[tokio::test]
async fn a_worker_says_what_it_lacks() {
    let place = tempfile::tempdir().expect("a folder");
    let bare = ServerCommand::worker(BINARY).env("OPENEVENT_DATA_DIR", place.path());

    let alone = bare.output().await;
    let on_a_file = bare.clone().env("OPENEVENT_TEMPORAL_ADDRESS", "127.0.0.1:1").output().await;
    let idle =
        ServerCommand::new(BINARY).env("OPENEVENT_DATA_DIR", place.path()).arg("--no-worker").output().await;
    let halved = bare
        .env("OPENEVENT_TEMPORAL_ADDRESS", "127.0.0.1:1")
        .env("OPENEVENT_TEMPORAL_TLS_CERT_FILE", "cert.pem")
        .output()
        .await;

    let says = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(says(&alone).contains("none is configured"), "{}", says(&alone));
    assert!(says(&on_a_file).contains("a SQLite file cannot be shared"), "{}", says(&on_a_file));
    assert!(says(&idle).contains("which need Temporal and PostgreSQL"), "{}", says(&idle));
    assert!(says(&halved).contains("needs its key"), "{}", says(&halved));
}
