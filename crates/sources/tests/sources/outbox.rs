//! The outbox.

use crate::shop::{OUTBOX, Shop, outbox};
use crate::support::{Basket, Permit, Reader};
use openevent_sources::{Error, Source};
use openevent_testkit::PostgresCluster;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn numbers(basket: &Basket) -> Vec<i64> {
    basket.told().iter().filter_map(|(_, payload)| payload["n"].as_i64()).collect()
}

#[tokio::test]
async fn what_was_written_while_nobody_was_there_becomes_signals_in_its_order() {
    let (shop, basket) = (Shop::with_outbox().await, Arc::new(Basket::default()));
    shop.write(1, 250).await;

    let reader = Reader::start(&shop.source(&[], Some(outbox())), &basket);
    basket.holds(250).await;
    shop.is_emptied().await;
    reader.stop().await;

    assert_eq!(numbers(&basket), (1..=250).collect::<Vec<_>>());
    let first = &basket.messages()[0];
    assert_eq!((first.name.as_str(), first.channel.as_str()), ("order.created", OUTBOX));
    assert!(first.id.starts_with("openevent_outbox/1/"), "{}", first.id);
}

#[tokio::test]
async fn a_new_row_wakes_the_reader() {
    let (shop, basket) = (Shop::with_outbox().await, Arc::new(Basket::default()));
    let reader = Reader::start(&shop.source(&[], Some(outbox())), &basket);
    shop.write(0, 0).await;
    basket.holds(1).await;

    let begun = Instant::now();
    for n in 1..=5 {
        shop.write(n, n).await;
        basket.holds(n as usize + 1).await;
    }

    // Without a wake each of them would wait for a look, five seconds after the last.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    reader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_deletion_fails_are_handed_over_again_under_the_same_ids() {
    let (shop, basket) = (Shop::with_outbox().await, Arc::new(Basket::default()));
    shop.write(1, 10).await;
    basket.at_the_next(shop.cutter());

    let reader = Reader::start(&shop.source(&[], Some(outbox())), &basket);
    basket.holds(10).await;
    shop.is_emptied().await;
    reader.stop().await;

    assert_eq!((numbers(&basket), basket.repeated()), ((1..=10).collect(), 10));
}

#[tokio::test]
async fn while_nothing_can_be_stored_the_rows_stay() {
    let (shop, basket) = (Shop::with_outbox().await, Arc::new(Basket::default()));
    basket.close();
    shop.write(1, 10).await;
    let reader = Reader::start(&shop.source(&[], Some(outbox())), &basket);
    basket.is_asked().await;

    assert_eq!(shop.count("SELECT count(*) FROM openevent_outbox").await, 10);
    basket.open();

    basket.holds(10).await;
    shop.is_emptied().await;
    reader.stop().await;
    assert_eq!(basket.repeated(), 0);
}

#[tokio::test]
async fn two_readers_get_each_row_once() {
    let shop = Shop::with_outbox().await;
    let (first, second) = (Arc::new(Basket::default()), Arc::new(Basket::default()));
    shop.write(1, 2_000).await;

    let kind = shop.source(&[], Some(outbox()));
    let readers = [
        Reader::start_as(1, &Arc::<Permit>::default(), &kind, &first),
        Reader::start_as(2, &Arc::<Permit>::default(), &kind, &second),
    ];
    shop.is_emptied().await;
    for reader in readers {
        reader.stop().await;
    }

    let all: Vec<i64> = numbers(&first).into_iter().chain(numbers(&second)).collect();
    let distinct: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (2_000, 2_000));
}

#[tokio::test]
async fn a_row_nobody_can_take_does_not_block_the_rest() {
    let (shop, basket) = (Shop::with_outbox().await, Arc::new(Basket::default()));
    let row = async |name: &str, payload: &str| {
        shop.run(&format!("INSERT INTO {OUTBOX} (name, payload) VALUES ('{name}', '{payload}')")).await;
    };
    row("two words", "{}").await;
    row("a", r#"{"poison":1}"#).await;
    row("b", "[1]").await;

    let reader = Reader::start(&shop.source(&[], Some(outbox())), &basket);
    shop.is_emptied().await;
    reader.stop().await;

    assert_eq!(basket.told(), [("b".to_owned(), json!({"value": [1]}))]);
}

#[tokio::test]
async fn a_table_that_is_made_anew_has_new_rows() {
    let (shop, basket) = (Shop::with_outbox().await, Arc::new(Basket::default()));
    let reader = Reader::start(&shop.source(&[], Some(outbox())), &basket);
    shop.write(1, 1).await;
    basket.holds(1).await;
    shop.is_emptied().await;

    shop.run(&format!("TRUNCATE {OUTBOX} RESTART IDENTITY")).await;
    shop.write(2, 2).await;

    basket.holds(2).await;
    reader.stop().await;
    assert_eq!((numbers(&basket), basket.repeated()), (vec![1, 2], 0));
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_loses_nothing() {
    let (mut cluster, basket) = (PostgresCluster::start().await, Arc::new(Basket::default()));
    let shop = Shop::at(&cluster.url()).await;
    shop.run(&outbox().make()).await;
    shop.run(&outbox().make()).await;
    shop.write(1, 500).await;
    let reader = Reader::start(&shop.source(&[], Some(outbox())), &basket);
    basket.holds(1).await;

    cluster.kill().await;
    cluster.start_again().await;
    let shop = Shop::at(&cluster.url()).await;
    shop.write(501, 600).await;

    basket.holds(600).await;
    shop.is_emptied().await;
    reader.stop().await;
    let distinct: BTreeSet<i64> = numbers(&basket).into_iter().collect();
    assert_eq!((numbers(&basket).len(), distinct.len()), (600, 600));
}

#[tokio::test]
async fn an_outbox_that_is_not_there_is_told_as_such() {
    let shop = Shop::open().await;
    let source = Source { name: "shop".to_owned(), kind: shop.source(&[], Some(outbox())) };
    assert!(matches!(source.probe().await, Err(Error::Refused(_))));
    shop.run(&outbox().make()).await;
    assert!(source.probe().await.is_ok());
}
