//! Streams of Redis.

use crate::support::{Basket, Reader};
use openevent_sources::{GROUP, Kind, Naming, RedisSource};
use openevent_testkit::{ChaosProxy, RedisServer, until};
use serde_json::json;
use std::sync::Arc;

const STREAM: &str = "orders-stream";

fn streams(url: &str) -> Kind {
    let redis = RedisSource::new(url, Vec::new(), vec![STREAM.to_owned()], GROUP.to_owned(), Naming::queue());
    Kind::Redis(redis.expect("a source"))
}

async fn add(server: &RedisServer, payload: &str) {
    server.ask(&["XADD", STREAM, "*", "payload", payload]).await;
}

/// Adds many at once, numbered from `first` on.
async fn add_many(server: &RedisServer, first: usize, count: usize) {
    let script =
        "for n = ARGV[1], ARGV[2] do redis.call('XADD', KEYS[1], '*', 'payload', '{\"n\":' .. n .. '}') end";
    let script = script.replace(".. n ..", ".. string.format('%d', n) ..");
    let last = first + count - 1;
    server.ask(&["EVAL", &script, "1", STREAM, &first.to_string(), &last.to_string()]).await;
}

/// Waits until nothing is in anybody's hand.
async fn all_acknowledged(server: &RedisServer) {
    until("everything is acknowledged", async || {
        let pending = server.ask(&["XPENDING", STREAM, GROUP]).await;
        (pending.lines().next() == Some("0")).then_some(())
    })
    .await;
}

fn numbers(basket: &Basket) -> Vec<i64> {
    basket.told().iter().filter_map(|(_, payload)| payload["n"].as_i64()).collect()
}

#[tokio::test]
async fn entries_become_signals_also_those_from_before() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    add(&server, r#"{"n":1}"#).await;
    let reader = Reader::start(&streams(&server.url()), &basket);
    server.ask(&["XADD", STREAM, "*", "orderId", "7", "total", "9.50"]).await;

    let told = basket.holds(2).await;

    assert_eq!(told[0], ("queue.orders-stream".to_owned(), json!({"n": 1})));
    assert_eq!(told[1].1, json!({"orderId": "7", "total": "9.50"}));
    assert!(basket.messages()[0].id.starts_with("orders-stream/"));
    all_acknowledged(&server).await;
    reader.stop().await;
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_counts_twice_over_restarts() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    for round in 0..4 {
        add_many(&server, round * 250, 250).await;
        let reader = Reader::start(&streams(&server.url()), &basket);
        basket.holds(round * 250 + 50).await;
        reader.stop().await;
    }
    let reader = Reader::start(&streams(&server.url()), &basket);

    basket.holds(1_000).await;
    all_acknowledged(&server).await;
    reader.stop().await;

    assert_eq!(numbers(&basket), (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_loses_nothing() {
    let (mut server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    let reader = Reader::start(&streams(&server.url()), &basket);
    add_many(&server, 0, 300).await;
    basket.holds(1).await;

    server.kill().await;
    server.start_again().await;
    add_many(&server, 300, 300).await;

    basket.holds(600).await;
    all_acknowledged(&server).await;
    reader.stop().await;
    assert_eq!(numbers(&basket), (0..600).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_acknowledgement_is_lost_is_handed_over_again_under_the_same_ids() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    let proxy = Arc::new(ChaosProxy::start(server.address()).await);
    add_many(&server, 0, 10).await;
    let cut = Arc::clone(&proxy);
    basket.at_the_next(move || {
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| handle.block_on(cut.cut()));
    });

    let reader = Reader::start(&streams(&format!("redis://{}", proxy.address())), &basket);
    basket.holds(10).await;
    all_acknowledged(&server).await;
    reader.stop().await;

    assert_eq!((numbers(&basket), basket.repeated()), ((0..10).collect(), 10));
}

#[tokio::test]
async fn what_nobody_can_take_does_not_block_the_rest() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    add(&server, r#"{"poison":1}"#).await;
    server.ask(&["XADD", STREAM, "*", "payload", &"[".repeat(100), "type", "x"]).await;
    add(&server, r#"{"n":1}"#).await;

    let reader = Reader::start(&streams(&server.url()), &basket);

    until("the last has come", async || numbers(&basket).contains(&1).then_some(())).await;
    all_acknowledged(&server).await;
    reader.stop().await;
}

#[tokio::test]
async fn an_entry_that_was_removed_while_it_was_in_hand_is_let_go_of() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    server.ask(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await;
    let id = server.ask(&["XADD", STREAM, "*", "payload", "{}"]).await;
    server.ask(&["XREADGROUP", "GROUP", GROUP, "shop", "STREAMS", STREAM, ">"]).await;
    server.ask(&["XDEL", STREAM, &id]).await;

    let reader = Reader::start(&streams(&server.url()), &basket);

    all_acknowledged(&server).await;
    assert_eq!(basket.told(), []);
    reader.stop().await;
}

#[tokio::test]
async fn what_a_consumer_that_is_gone_had_in_hand_is_taken_over() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    server.ask(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await;
    add(&server, r#"{"n":1}"#).await;
    let taken = server.ask(&["XREADGROUP", "GROUP", GROUP, "gone", "STREAMS", STREAM, ">"]).await;
    let id = taken.lines().nth(1).expect("an entry");
    // As if it had been in that hand for ten minutes.
    server.ask(&["XCLAIM", STREAM, GROUP, "gone", "0", id, "IDLE", "600000"]).await;

    let reader = Reader::start(&streams(&server.url()), &basket);

    basket.holds(1).await;
    all_acknowledged(&server).await;
    reader.stop().await;
    assert_eq!(numbers(&basket), [1]);
}

#[tokio::test]
async fn while_nothing_can_be_stored_nothing_is_acknowledged() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    basket.close();
    add_many(&server, 0, 20).await;
    let reader = Reader::start(&streams(&server.url()), &basket);
    until("they are in hand", async || {
        let pending = server.ask(&["XINFO", "GROUPS", STREAM]).await;
        pending.lines().any(|line| line == "20").then_some(())
    })
    .await;

    basket.open();

    basket.holds(20).await;
    all_acknowledged(&server).await;
    reader.stop().await;
    assert_eq!(numbers(&basket), (0..20).collect::<Vec<_>>());
}
