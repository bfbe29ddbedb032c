//! Load that survives kills: clients that remember what was acknowledged to them, and what has to be true of it after.
//!
//! Invariant: every acknowledged signal is stored, each started exactly one run, every run completed, and no call went out
//! without its idempotency key. Each was delivered to the webhook at least once, always under one id with one body, and
//! nothing is said to be delivered that the receiver did not see.
//! Not here: who is killed, and when.

use http::Method;
use openevent_testkit::{Answer, HttpClient, Received, Receiver, ServerCommand, ServerProcess};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};

const BINARY: &str = env!("CARGO_BIN_EXE_openevent");
/// How long the last start may take to finish everything.
const SETTLE_MAX: Duration = Duration::from_mins(2);
pub(crate) const AUTH: (&str, &str) = ("authorization", "Bearer dev-token");

/// What the clients know.
#[derive(Default)]
pub(crate) struct Known {
    acknowledged: Mutex<HashSet<String>>,
    count: watch::Sender<u64>,
    next: AtomicU64,
    pub(crate) over: AtomicBool,
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
pub(crate) async fn scene() -> (Receiver, tempfile::TempDir) {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::json(&json!({"ok": true})));
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("workflows")).expect("a folder");
    std::fs::write(place.path().join("workflows/order.yaml"), workflow(&receiver)).expect("a file");
    (receiver, place)
}

pub(crate) fn command(place: &tempfile::TempDir) -> ServerCommand {
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

pub(crate) async fn wait_for_more(known: &Known, more: u64) {
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
pub(crate) async fn settle(client: &HttpClient, server: &ServerProcess) {
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
pub(crate) async fn rows(client: &HttpClient, server: &ServerProcess, path: &str) -> Vec<Value> {
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

pub(crate) async fn check(known: &Known, server: &ServerProcess, receiver: &Receiver) {
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
pub(crate) async fn subscribe(client: &HttpClient, server: &ServerProcess, receiver: &Receiver) {
    let body = json!({"name": "hook", "url": receiver.url("/hook"), "events": ["order.*"]});
    let headers = [AUTH, ("content-type", "application/json")];
    let made =
        client.request(Method::POST, &server.url("/api/v1/webhooks"), &headers, body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

pub(crate) async fn check_deliveries(
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

/// Clients that send to an address until it is over.
pub(crate) fn clients(
    count: usize,
    known: &Arc<Known>,
    address: &watch::Sender<String>,
) -> tokio::task::JoinSet<()> {
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..count {
        clients.spawn(send(Arc::clone(known), address.subscribe()));
    }
    clients
}
