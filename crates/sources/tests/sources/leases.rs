//! One source and several nodes.

use crate::support::{Basket, Permit, Reader};
use openevent_sources::{GROUP, Kind, Naming, RedisSource};
use openevent_testkit::{RedisServer, until};
use std::sync::Arc;

#[tokio::test]
async fn of_two_nodes_one_reads_and_when_it_stops_the_other_does() {
    let server = RedisServer::start().await;
    let channels = vec!["orders".to_owned()];
    let redis =
        RedisSource::new(&server.url(), channels, Vec::new(), GROUP.to_owned(), Naming::queue()).unwrap();
    let (kind, permit) = (Kind::Redis(redis), Arc::<Permit>::default());
    let (first, second) = (Arc::new(Basket::default()), Arc::new(Basket::default()));
    let publish = async || {
        until("one node listens", async || {
            let listeners = server.ask(&["PUBLISH", "orders", "{}"]).await;
            assert!(["0", "1"].contains(&listeners.as_str()), "{listeners}");
            (listeners == "1").then_some(())
        })
        .await;
    };

    let reader = Reader::start_as(1, &permit, &kind, &first);
    publish().await;
    let other = Reader::start_as(2, &permit, &kind, &second);
    publish().await;
    first.holds(2).await;
    reader.stop().await;
    publish().await;
    second.holds(1).await;
    other.stop().await;

    assert_eq!((first.told().len(), second.told().len()), (2, 1));
}
