//! Crashes under load: what was acknowledged is there, and everything that is there happens.
//!
//! Invariant: what `load` checks holds after any number of kills. What a killed node had in hand is sent by another.
//! Not here: single faults (the store's and the engine's own tests), a crash of one of several nodes (`nodes.rs`).

mod load;

use load::{AUTH, Known, check, check_deliveries, clients, command, rows, scene, subscribe, wait_for_more};
use openevent_testkit::{Answer, HttpClient, PostgresCluster, postgres_url};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

const KILLS: u64 = 30;
const CLIENTS: usize = 16;

/// A different number of acknowledgements each time, so that kills strike at any point.
fn some(round: u64) -> u64 {
    (round.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) % 120 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_thirty_times_under_load_loses_nothing() {
    let (receiver, place) = scene().await;
    let command = command(&place);
    let known = Arc::new(Known::default());
    let mut server = command.start().await;
    let address = watch::Sender::new(server.base_url().to_owned());
    subscribe(&HttpClient::new(), &server, &receiver).await;
    let mut clients = clients(CLIENTS, &known, &address);

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
    let mut clients = clients(CLIENTS, &known, &address);

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
