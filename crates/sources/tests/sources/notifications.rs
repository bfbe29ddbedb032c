//! What PostgreSQL notifies of.

use crate::shop::{Shop, source};
use crate::support::{Basket, Reader};
use openevent_sources::{Error, Source};
use openevent_testkit::{PostgresCluster, until};
use serde_json::json;
use std::sync::Arc;

/// The trigger of the Events API, as the document has it.
const TRIGGER: &str = "
    CREATE TABLE orders (id bigint PRIMARY KEY, total numeric);
    CREATE OR REPLACE FUNCTION notify_order_created()
    RETURNS trigger AS $$
    BEGIN
      PERFORM pg_notify('order_created', row_to_json(NEW)::text);
      RETURN NEW;
    END;
    $$ LANGUAGE plpgsql;
    CREATE TRIGGER order_created_trigger
      AFTER INSERT ON orders
      FOR EACH ROW
      EXECUTE FUNCTION notify_order_created();";

#[tokio::test]
async fn what_the_documents_trigger_notifies_of_becomes_signals() {
    let (shop, basket) = (Shop::open().await, Arc::new(Basket::default()));
    shop.run(TRIGGER).await;
    let reader = Reader::start(&shop.source(&["order_created"], None), &basket);
    shop.is_listened_to("order_created").await;

    shop.run("INSERT INTO orders VALUES (1, 9.50), (2, 3)").await;
    shop.run("SELECT pg_notify('order_created', 'no json'), pg_notify('elsewhere', '{}')").await;
    shop.run("INSERT INTO orders VALUES (3, 0)").await;

    let told = basket.holds(3).await;
    let name = || "order.created".to_owned();
    assert_eq!(told[0], (name(), json!({"id": 1, "total": 9.50})));
    assert_eq!(told[2], (name(), json!({"id": 3, "total": 0})));
    reader.stop().await;
    assert_eq!(basket.told().len(), 3);
}

#[tokio::test]
async fn channels_are_heard_again_after_the_server_was_away() {
    let (mut cluster, basket) = (PostgresCluster::start().await, Arc::new(Basket::default()));
    let shop = Shop::at(&cluster.url()).await;
    let reader = Reader::start(&shop.source(&["jobs"], None), &basket);
    shop.is_listened_to("jobs").await;

    cluster.kill().await;
    cluster.start_again().await;
    let shop = Shop::at(&cluster.url()).await;
    shop.is_listened_to("jobs").await;
    shop.run("SELECT pg_notify('jobs', '{}')").await;

    assert_eq!(basket.holds(1).await[0].0, "jobs");
    reader.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such() {
    let cluster = PostgresCluster::start().await;
    let shop = Shop::at(&cluster.url()).await;
    shop.run("CREATE ROLE app LOGIN PASSWORD 'right'").await;
    let rules = shop.text("SHOW hba_file").await;
    let lines = "VALUES ('host all postgres all trust'), ('host all app all scram-sha-256')";
    shop.run(&format!("COPY ({lines}) TO '{rules}'")).await;
    shop.run("SELECT pg_reload_conf()").await;
    let probe = async |user: &str| {
        let url = cluster.url().replace("postgres@", &format!("{user}@"));
        Source { name: "shop".to_owned(), kind: source(&url, &["x"], None) }.probe().await
    };

    // The server reads its rules when it gets to it.
    until("the wrong password is refused", async || {
        matches!(probe("app:wrong").await, Err(Error::Credentials(_))).then_some(())
    })
    .await;
    assert!(probe("app:right").await.is_ok());
}
