//! Channels of Redis.

use crate::support::{Basket, Reader};
use openevent_sources::{Error, GROUP, Kind, Naming, RedisSource, Source};
use openevent_testkit::{ChaosProxy, RedisServer, until};
use serde_json::json;
use std::sync::Arc;

fn channels(url: &str, channels: &[&str]) -> Kind {
    let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
    let redis = RedisSource::new(url, channels, Vec::new(), GROUP.to_owned(), Naming::queue());
    Kind::Redis(redis.expect("a source"))
}

/// Publishes once somebody listens.
async fn publish(server: &RedisServer, channel: &str, text: &str) {
    until("somebody listens", async || (server.ask(&["PUBLISH", channel, text]).await != "0").then_some(()))
        .await;
}

#[tokio::test]
async fn messages_of_channels_and_patterns_become_signals() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    let reader = Reader::start(&channels(&server.url(), &["orders", "payments.*"]), &basket);

    publish(&server, "orders", r#"{"id":1}"#).await;
    publish(&server, "payments.eu", "[2]").await;
    server.ask(&["PUBLISH", "elsewhere", "{}"]).await;
    publish(&server, "orders", r#"{"id":3}"#).await;

    let told = basket.holds(3).await;
    let name = |name: &str| name.to_owned();
    assert_eq!(told[0], (name("queue.orders"), json!({"id": 1})));
    assert_eq!(told[1], (name("queue.payments.eu"), json!({"value": [2]})));
    assert_eq!(told[2], (name("queue.orders"), json!({"id": 3})));
    assert_eq!(basket.messages()[1].channel, "payments.eu");
    reader.stop().await;
}

#[tokio::test]
async fn a_message_that_is_no_json_does_not_keep_the_next_from_coming() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    let reader = Reader::start(&channels(&server.url(), &["orders"]), &basket);

    publish(&server, "orders", "plain words").await;
    publish(&server, "orders", r#"{"poison":true}"#).await;
    publish(&server, "orders", "{}").await;

    assert_eq!(basket.holds(1).await.len(), 1);
    reader.stop().await;
    assert_eq!(basket.told(), [("queue.orders".to_owned(), json!({}))]);
}

#[tokio::test]
async fn what_is_heard_while_nothing_can_be_stored_is_stored_later() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    let reader = Reader::start(&channels(&server.url(), &["orders"]), &basket);
    basket.close();

    for n in 0..5 {
        publish(&server, "orders", &format!("{{\"n\":{n}}}")).await;
    }
    basket.open();

    let told = basket.holds(5).await;
    let order: Vec<_> = told.iter().map(|(_, payload)| payload["n"].as_i64()).collect();
    assert_eq!(order, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    reader.stop().await;
}

#[tokio::test]
async fn a_server_that_was_away_is_heard_again() {
    let (mut server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    let reader = Reader::start(&channels(&server.url(), &["orders"]), &basket);
    publish(&server, "orders", r#"{"n":1}"#).await;
    basket.holds(1).await;

    server.kill().await;
    server.start_again().await;
    publish(&server, "orders", r#"{"n":2}"#).await;

    assert_eq!(basket.holds(2).await[1].1, json!({"n": 2}));
    reader.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_opened_again() {
    let (server, basket) = (RedisServer::start().await, Arc::new(Basket::default()));
    let proxy = ChaosProxy::start(server.address()).await;
    let url = format!("redis://{}", proxy.address());
    let reader = Reader::start(&channels(&url, &["orders"]), &basket);
    publish(&server, "orders", r#"{"n":1}"#).await;
    basket.holds(1).await;

    proxy.refuse().await;
    proxy.restore().await;
    publish(&server, "orders", r#"{"n":2}"#).await;

    assert_eq!(basket.holds(2).await[1].1, json!({"n": 2}));
    reader.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such() {
    let server = RedisServer::start_with_password("right").await;
    let url = |user: &str| server.url().replace("redis://", &format!("redis://{user}@"));
    let probe = async |url: &str| {
        let source = Source { name: "shop".to_owned(), kind: channels(url, &["orders"]) };
        source.probe().await
    };

    assert!(matches!(probe(&url(":wrong")).await, Err(Error::Credentials(_))));
    assert!(matches!(probe(&server.url()).await, Err(Error::Credentials(_))));
    assert!(probe(&url(":right")).await.is_ok());
    assert!(matches!(probe("redis://127.0.0.1:1/").await, Err(Error::Unreachable(_))));
}
