//! Several servers on one PostgreSQL, as an operator runs them.
//!
//! Invariant: whichever server is asked, and whichever is killed, it is as if there were one: limits hold, each attempt is
//! sent once, each due time starts one run, and nothing acknowledged is lost.
//! Not here: how the engine, the sender and the store do it on their own (their own tests).

mod load;

use http::Method;
use load::{AUTH, Known, check, check_deliveries, clients, command, rows, scene, subscribe, wait_for_more};
use openevent_testkit::{
    Answer, HttpClient, PostgresDatabase, Receiver, Reply, ServerCommand, ServerProcess, postgres_url, until,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// The longest a server's engine may take to take over (contract §12), and what comes after.
const TAKE_OVER_MS: i64 = 15_000;

/// So many servers of one database. The first drives.
async fn start(command: &ServerCommand, count: usize) -> Vec<ServerProcess> {
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(command.start().await);
    }
    servers
}

/// Three servers, all of which know the webhook from the beginning: it takes half a second to be known to those that run.
async fn start_subscribed(command: &ServerCommand, receiver: &Receiver) -> Vec<ServerProcess> {
    let mut servers = start(command, 1).await;
    subscribe(&HttpClient::new(), &servers[0], receiver).await;
    servers.extend(start(command, 2).await);
    servers
}

async fn on_one_database(place: &tempfile::TempDir) -> (PostgresDatabase, ServerCommand) {
    let database = postgres_url().await;
    let command = command(place).env("DATABASE_URL", database.url());
    (database, command)
}

async fn post(client: &HttpClient, server: &ServerProcess, path: &str, body: &Value) -> Value {
    let reply = client.post_json(&server.url(path), &[AUTH], body).await;
    assert!(reply.status < 300, "{}: {}", reply.status, reply.text());
    reply.json()["data"].clone()
}

fn number(reply: &Reply, header: &str) -> i64 {
    reply.header(header).expect("a rate-limit header").parse().expect("a number")
}

/// Calls spread over all servers until a window of the clock has refused many at each; says how many each window answered.
async fn exhaust(client: &HttpClient, servers: &[ServerProcess], key: &str) -> BTreeMap<i64, usize> {
    let mut answered: BTreeMap<i64, usize> = BTreeMap::new();
    let mut refused = 0;
    while refused < 20 * servers.len() {
        let urls: Vec<_> = servers.iter().map(|server| server.url("/api/v1/event-types")).collect();
        let headers = [("x-api-key", key)];
        let calls = (0..10 * urls.len()).map(|n| client.get(&urls[n % urls.len()], &headers));
        for reply in futures::future::join_all(calls).await {
            let window = answered.entry(number(&reply, "x-ratelimit-reset")).or_default();
            match reply.status {
                200 => (*window, refused) = (*window + 1, 0),
                429 => refused += 1,
                _ => panic!("{}: {}", reply.status, reply.text()),
            }
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keys_limit_holds_over_two_and_three_servers() {
    const LIMIT: usize = 70;
    let (_receiver, place) = scene().await;
    let (_database, command) = on_one_database(&place).await;
    let servers = start(&command, 3).await;
    let client = HttpClient::new();
    for count in [2, 3] {
        let asked = json!({"name": "limited", "scopes": ["workflows:read"], "rateLimit": LIMIT});
        let key = post(&client, &servers[0], "/api/v1/api-keys", &asked).await;

        let answered = exhaust(&client, &servers[..count], key["key"].as_str().expect("a key")).await;

        // Should the clock hour end meanwhile, the last window is the one that was exhausted.
        assert!(answered.values().all(|calls| *calls <= LIMIT), "{answered:?}");
        assert_eq!(answered.last_key_value().map(|(_, calls)| *calls), Some(LIMIT), "{answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_send_each_attempt_once() {
    const EACH: usize = 100;
    let (receiver, place) = scene().await;
    // Fewer than disable a webhook are refused, each once.
    let refused: Mutex<HashSet<String>> = Mutex::default();
    receiver.answer_with(move |request, _| {
        let id = request.header("x-openevent-delivery-id").expect("an id").to_owned();
        let is_refused =
            request.json()["data"]["refuse"] == true && refused.lock().expect("nobody panicked").insert(id);
        Answer::status(if is_refused { 500 } else { 200 })
    });
    let (_database, command) = on_one_database(&place).await;
    let command = command.env("OPENEVENT_WEBHOOK_RETRY_SCHEDULE", "100ms,100ms");
    let servers = start_subscribed(&command, &receiver).await;
    let client = HttpClient::new();
    let batch = |from: usize| {
        let event = |n| json!({"name": "order.moved", "payload": {"n": n, "refuse": n % 100 == 7}});
        json!({"events": (from..from + EACH).map(event).collect::<Vec<_>>()})
    };
    let sent = servers.iter().enumerate().map(|(n, server)| {
        let (client, batch) = (&client, batch(n * EACH));
        async move { post(client, server, "/api/v1/events/batch", &batch).await }
    });
    futures::future::join_all(sent).await;

    let signals = rows(&client, &servers[2], "/api/v1/signals").await;
    let signals: HashSet<&str> = signals.iter().filter_map(|signal| signal["id"].as_str()).collect();
    check_deliveries(&client, &servers[2], &receiver, &signals).await;

    assert_eq!(signals.len(), 3 * EACH);
    let mut received: HashMap<String, usize> = HashMap::new();
    for request in receiver.requests() {
        *received.entry(request.header("x-openevent-delivery-id").expect("an id").to_owned()).or_default() +=
            1;
    }
    let webhook = rows(&client, &servers[0], "/api/v1/webhooks").await.remove(0);
    let path = format!("/api/v1/webhooks/{}/deliveries", webhook["id"].as_str().expect("an id"));
    let mut twice = 0;
    for delivery in rows(&client, &servers[0], &path).await {
        let attempts = delivery["attempts"].as_array().expect("attempts").len();
        assert_eq!(received[delivery["id"].as_str().expect("an id")], attempts, "{delivery}");
        twice += usize::from(attempts == 2);
    }
    assert_eq!((twice, receiver.count()), (3, 3 * EACH + 3));
}

/// The place of the server whose engine drives, if there is one.
async fn driving(client: &HttpClient, servers: &[ServerProcess]) -> Option<usize> {
    for (n, server) in servers.iter().enumerate() {
        let metrics = client.get(&server.url("/metrics"), &[AUTH]).await.text();
        if metrics.contains("openevent_engine_restore_ms") {
            return Some(n);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_fires_once_a_time_though_the_server_that_drives_is_killed_when_it_does() {
    const EVERY_MS: i64 = 500;
    let (receiver, place) = scene().await;
    let (_database, command) = on_one_database(&place).await;
    let mut servers = start(&command, 3).await;
    let client = HttpClient::new();
    let workflow = format!(
        "document: {{dsl: '1.0.0', namespace: nodes, name: tick, version: '1.0.0'}}\n\
         schedule: {{every: {{milliseconds: {EVERY_MS}}}}}\n\
         do:\n\
         \x20 - tell: {{call: http, with: {{method: post, endpoint: '{}'}}}}\n",
        receiver.url("/tick")
    );
    let url = servers[0].url("/api/v1/workflows/nodes/tick");
    let put =
        client.request(Method::PUT, &url, &[AUTH, ("content-type", "application/yaml")], workflow).await;
    assert!(put.status < 300, "{}", put.text());
    let since = put.json()["data"]["updatedAt"].as_i64().expect("when it was put");

    for more in [4, 8] {
        receiver.wait_for(more).await;
        let first = until("a server drives", async || driving(&client, &servers).await).await;
        // At the moment a run begins.
        servers.remove(first).kill().await;
        servers.push(command.start().await);
        receiver.wait_for(receiver.count() + 3).await;
    }

    let runs = rows(&client, &servers[0], "/api/v1/runs").await;
    let mut times: Vec<i64> = runs.iter().filter_map(|run| run["startedAt"].as_i64()).collect();
    times.sort_unstable();
    let due: HashSet<i64> = times.iter().map(|at| (at - since).div_euclid(EVERY_MS)).collect();
    assert_eq!(due.len(), times.len(), "one run for each due time: {times:?} since {since}");
    let longest = times.windows(2).map(|two| two[1] - two[0]).max();
    assert!(longest.is_some_and(|gap| gap < TAKE_OVER_MS), "the clock goes on soon: {times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_three_servers_killed_under_load_in_turn_loses_nothing() {
    const CLIENTS: usize = 5;
    let (receiver, place) = scene().await;
    let (_database, command) = on_one_database(&place).await;
    let known = Arc::new(Known::default());
    let mut servers = start_subscribed(&command, &receiver).await;
    let addresses: Vec<_> =
        servers.iter().map(|server| watch::Sender::new(server.base_url().to_owned())).collect();
    let mut sending: Vec<_> = addresses.iter().map(|address| clients(CLIENTS, &known, address)).collect();

    for (n, more) in [40, 150, 90].into_iter().enumerate() {
        wait_for_more(&known, more).await;
        servers.remove(0).kill().await;
        // Its clients move on, and come back when it is there again.
        addresses[n].send_replace(servers[0].base_url().to_owned());
        wait_for_more(&known, 60).await;
        servers.push(command.start().await);
        addresses[n].send_replace(servers[2].base_url().to_owned());
    }
    wait_for_more(&known, 60).await;

    known.over.store(true, Ordering::Relaxed);
    for clients in &mut sending {
        while let Some(ended) = clients.join_next().await {
            ended.expect("a client ends well");
        }
    }
    check(&known, &servers[0], &receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_steered_through_every_server() {
    let (_receiver, place) = scene().await;
    let (_database, command) = on_one_database(&place).await;
    let mut servers = start(&command, 3).await;
    let client = HttpClient::new();
    let workflow = "document: {dsl: '1.0.0', namespace: nodes, name: long, version: '1.0.0'}\n\
                    do:\n  - rest: {wait: {hours: 1}}\n";
    let url = servers[0].url("/api/v1/workflows/nodes/long");
    let put =
        client.request(Method::PUT, &url, &[AUTH, ("content-type", "application/yaml")], workflow).await;
    assert!(put.status < 300, "{}", put.text());
    let run = post(&client, &servers[0], "/api/v1/workflows/nodes/long/runs", &json!({})).await;
    let id = run["id"].as_str().expect("an id").to_owned();
    let steer = async |server: &ServerProcess, verb: &str| {
        post(&client, server, &format!("/api/v1/runs/{id}/{verb}"), &json!({})).await["status"].clone()
    };

    for server in &servers {
        assert_eq!(steer(server, "suspend").await, "suspended");
        assert_eq!(steer(server, "suspend").await, "suspended", "doing what is done is no error");
        assert_eq!(steer(server, "resume").await, "waiting");
    }
    // Nobody drives for a moment: whoever asks waits until somebody does.
    servers.remove(0).kill().await;
    assert_eq!(steer(&servers[0], "cancel").await, "cancelled");

    let acts = rows(&client, &servers[1], "/api/v1/audit").await;
    let acts: Vec<_> = acts.iter().filter_map(|row| row["action"].as_str()).collect();
    let count = |name: &str| acts.iter().filter(|act| **act == name).count();
    assert_eq!((count("run.suspend"), count("run.resume"), count("run.cancel")), (3, 3, 1), "{acts:?}");
}
