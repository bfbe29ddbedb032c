//! Crashes under load: what was acknowledged is there, and everything that is there happens.
//!
//! Invariant: after any number of kills every acknowledged signal is stored, each started exactly one run, every run
//! completed, and no call went out without its idempotency key. Each was delivered to the webhook at least once, always
//! under one id with one body, and nothing is said to be delivered that the receiver did not see. What a killed node had in
//! hand is sent by another.
//! Not here: single faults (the store's and the engine's own tests).

use http::Method;
use openevent_testkit::{
    Answer, HttpClient, PostgresCluster, Received, Receiver, ServerCommand, ServerProcess, postgres_url,
};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};

const BINARY: &str = env!("CARGO_BIN_EXE_openevent");
const KILLS: u64 = 30;
const CLIENTS: u64 = 16;
/// How long the last start may take to finish everything.
const SETTLE_MAX: Duration = Duration::from_mins(2);
const AUTH: (&str, &str) = ("authorization", "Bearer dev-token");

/// What the clients know.
#[derive(Default)]
struct Known {
    acknowledged: Mutex<HashSet<String>>,
    count: watch::Sender<u64>,
    next: AtomicU64,
    over: AtomicBool,
}

fn workflow(receiver: &Receiver) -> String {
    format!(
        "document: {{dsl: '1.0.0', namespace: crash, name: order, version: '1.0.0'}}\n\
         schedule: {{on: {{one: {{with: {{type: order.created}}}}}}}}\n\
         do:\n\
         \x20 - tell:\n\
         \x20     call: http\n\
         \x20     with:\n\
         \x20       method: post\n\
         \x20       endpoint: {}\n\
         \x20       body: {{n: '${{ $workflow.input[0].data.n }}'}}\n\
         \x20 - pause: {{wait: {{milliseconds: 1}}}}\n\
         \x20 - close: {{set: {{done: true}}}}\n",
        receiver.url("/order")
    )
}

/// Who is called, and a folder with the workflow that calls.
async fn scene() -> (Receiver, tempfile::TempDir) {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::json(&json!({"ok": true})));
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("workflows")).expect("a folder");
    std::fs::write(place.path().join("workflows/order.yaml"), workflow(&receiver)).expect("a file");
    (receiver, place)
}

fn command(place: &tempfile::TempDir) -> ServerCommand {
    ServerCommand::new(BINARY)
        .env("OPENEVENT_DATA_DIR", place.path().join("data"))
        .env("OPENEVENT_WORKFLOWS", place.path().join("workflows"))
}

/// Sends until it is over; a client keeps nothing but what was acknowledged to it.
async fn send(known: Arc<Known>, address: watch::Receiver<String>) {
    let client = HttpClient::new();
    while !known.over.load(Ordering::Relaxed) {
        let n = known.next.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"name":"order.created","payload":{{"n":{n}}}}}"#);
        let url = format!("{}/api/v1/events", *address.borrow());
        let headers = [AUTH, ("content-type", "application/json")];
        match client.try_request(Method::POST, &url, &headers, body).await {
            Ok(reply) if reply.status == 202 => {
                let id = reply.json()["event_id"].as_str().expect("an event id").to_owned();
                known.acknowledged.lock().await.insert(id);
                known.count.send_modify(|count| *count += 1);
            }
            Ok(reply) => assert!(reply.status == 503, "{}: {}", reply.status, reply.text()),
            // The server is down: let others run until it is up again.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// A different number of acknowledgements each time, so that kills strike at any point.
fn some(round: u64) -> u64 {
    (round.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) % 120 + 1
}

async fn wait_for_more(known: &Known, more: u64) {
    let mut counted = known.count.subscribe();
    let wanted = *counted.borrow() + more;
    let waited = tokio::time::timeout(SETTLE_MAX, counted.wait_for(|count| *count >= wanted)).await;
    assert!(waited.is_ok(), "signals are acknowledged again");
}

async fn total(client: &HttpClient, server: &ServerProcess, status: &str) -> u64 {
    let reply = client.get(&server.url(&format!("/api/v1/runs?limit=1&status={status}")), &[AUTH]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["meta"]["total"].as_u64().expect("a total")
}

/// Asks until no run is under way.
async fn settle(client: &HttpClient, server: &ServerProcess) {
    let until = Instant::now() + SETTLE_MAX;
    loop {
        let mut live = 0;
        for status in ["pending", "running", "waiting"] {
            live += total(client, server, status).await;
        }
        if live == 0 {
            return;
        }
        assert!(
            Instant::now() < until,
            "{live} runs are still under way; the server says:\n{}",
            server.stderr()
        );
    }
}

/// All rows of a list, by cursor.
async fn rows(client: &HttpClient, server: &ServerProcess, path: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let next = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let reply = client.get(&server.url(&format!("{path}?limit=100{next}")), &[AUTH]).await;
        let page = reply.json();
        rows.extend(page["data"].as_array().expect("rows").iter().cloned());
        match page["meta"]["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return rows,
        }
    }
}

async fn check(known: &Known, server: &ServerProcess, receiver: &Receiver) {
    let client = HttpClient::new();
    settle(&client, server).await;
    let signals = rows(&client, server, "/api/v1/signals").await;
    let stored: HashSet<&str> = signals.iter().filter_map(|signal| signal["id"].as_str()).collect();
    let acknowledged = known.acknowledged.lock().await;
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(id.as_str())).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged signals are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );

    let runs = rows(&client, server, "/api/v1/runs").await;
    let mut by_event: HashMap<&str, u32> = HashMap::new();
    for run in &runs {
        assert_eq!(run["status"], "completed", "{run}");
        *by_event.entry(run["eventId"].as_str().expect("an event id")).or_default() += 1;
    }
    assert!(stored.iter().all(|id| by_event.get(id) == Some(&1)), "each signal started exactly one run");
    assert_eq!(runs.len(), stored.len());

    let ids: HashSet<&str> = runs.iter().filter_map(|run| run["id"].as_str()).collect();
    let mut called = HashSet::new();
    let requests = receiver.requests();
    for request in requests.iter().filter(|request| request.path() == "/order") {
        let key = request.header("idempotency-key").expect("every call carries its key").to_owned();
        let run = key.split('/').next().unwrap_or_default().to_owned();
        assert!(ids.contains(run.as_str()), "{key} is a run's key");
        called.insert(key);
    }
    assert_eq!(called.len(), runs.len(), "each run called under one key");
    check_deliveries(&client, server, receiver, &stored).await;
}

/// Where signals are delivered.
async fn subscribe(client: &HttpClient, server: &ServerProcess, receiver: &Receiver) {
    let body = json!({"name": "hook", "url": receiver.url("/hook"), "events": ["order.*"]});
    let headers = [AUTH, ("content-type", "application/json")];
    let made =
        client.request(Method::POST, &server.url("/api/v1/webhooks"), &headers, body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn check_deliveries(
    client: &HttpClient,
    server: &ServerProcess,
    receiver: &Receiver,
    signals: &HashSet<&str>,
) {
    let webhook = rows(client, server, "/api/v1/webhooks").await.remove(0);
    assert_eq!(webhook["status"], "active", "no kill of ours is a failure of the receiver's");
    let path = format!("/api/v1/webhooks/{}/deliveries", webhook["id"].as_str().expect("an id"));
    let until = Instant::now() + SETTLE_MAX;
    let deliveries = loop {
        let deliveries = rows(client, server, &path).await;
        let open = deliveries.iter().filter(|one| one["status"] == "pending").count();
        if open == 0 {
            break deliveries;
        }
        assert!(Instant::now() < until, "{open} deliveries are still owed; {}", server.stderr());
    };
    let mut seen: HashMap<String, &Received> = HashMap::new();
    let requests = receiver.requests();
    for request in requests.iter().filter(|request| request.path() == "/hook") {
        let id = request.header("x-openevent-delivery-id").expect("an id").to_owned();
        let first = seen.entry(id).or_insert(request);
        assert_eq!(first.body, request.body, "one id, one body");
    }
    let owed: HashSet<&str> = deliveries.iter().filter_map(|one| one["signalId"].as_str()).collect();
    assert_eq!((owed.len(), deliveries.len()), (signals.len(), signals.len()), "each signal is owed once");
    assert_eq!(&owed, signals);
    for delivery in &deliveries {
        assert_eq!(delivery["status"], "delivered", "{delivery}");
        assert!(seen.contains_key(delivery["id"].as_str().expect("an id")), "never received: {delivery}");
    }
}

fn clients(known: &Arc<Known>, address: &watch::Sender<String>) -> tokio::task::JoinSet<()> {
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(send(Arc::clone(known), address.subscribe()));
    }
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_thirty_times_under_load_loses_nothing() {
    let (receiver, place) = scene().await;
    let command = command(&place);
    let known = Arc::new(Known::default());
    let mut server = command.start().await;
    let address = watch::Sender::new(server.base_url().to_owned());
    subscribe(&HttpClient::new(), &server, &receiver).await;
    let mut clients = clients(&known, &address);

    for round in 0..KILLS {
        wait_for_more(&known, some(round)).await;
        server.kill().await;
        server = command.start().await;
        address.send_replace(server.base_url().to_owned());
    }

    known.over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client ends well");
    }
    check(&known, &server, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_killed_thirty_times_under_load_loses_nothing() {
    let mut cluster = PostgresCluster::start().await;
    let (receiver, place) = scene().await;
    let command = command(&place).env("DATABASE_URL", cluster.url());
    let known = Arc::new(Known::default());
    let server = command.start().await;
    let address = watch::Sender::new(server.base_url().to_owned());
    subscribe(&HttpClient::new(), &server, &receiver).await;
    let mut clients = clients(&known, &address);

    for round in 0..KILLS {
        wait_for_more(&known, some(round)).await;
        cluster.kill().await;
        cluster.start_again().await;
    }

    known.over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client ends well");
    }
    check(&known, &server, &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_had_in_hand_is_sent_by_another() {
    // More than a node keeps in memory for one webhook, so that some of it is on disk only.
    const OWED: usize = 700;
    let database = postgres_url().await;
    let (receiver, place) = scene().await;
    receiver.answer_with(|_, _| Answer::hang());
    let command = command(&place).env("DATABASE_URL", database.url()).env("OPENEVENT_WEBHOOK_TIMEOUT", "10m");
    let (first, second) = (command.start().await, command.start().await);
    let client = HttpClient::new();
    subscribe(&client, &first, &receiver).await;
    let events: Vec<_> = (0..OWED).map(|n| json!({"name": "order.moved", "payload": {"n": n}})).collect();
    let url = first.url("/api/v1/events/batch");
    let sent = client.post_json(&url, &[AUTH], &json!({"events": events})).await;
    assert_eq!((sent.status, &sent.json()["data"]["accepted"]), (202, &json!(OWED)), "{}", sent.text());

    // They are in the hand of the first alone: the window of a receiver nobody knows is under way, the rest waits.
    let hung = receiver.wait_for(4).await;
    first.kill().await;
    receiver.answer_with(|_, _| Answer::status(200));
    let signals = rows(&client, &second, "/api/v1/signals").await;
    let signals: HashSet<&str> = signals.iter().filter_map(|signal| signal["id"].as_str()).collect();
    check_deliveries(&client, &second, &receiver, &signals).await;

    assert_eq!(signals.len(), OWED);
    let requests = receiver.requests();
    assert_eq!((hung.len(), requests.len()), (4, OWED + 4), "only what was under way is sent a second time");
}
