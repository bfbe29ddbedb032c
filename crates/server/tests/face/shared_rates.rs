//! Rate limits over several nodes on one PostgreSQL.
//!
//! Invariant: a limit holds over all nodes together, to the last call, and a database that is away locks nobody out.
//! Not here: what holds on one node alone (`rates.rs`).

use crate::support::{HOUR_MS, OPERATOR, Place, Server, settings};
use openevent_server::Settings;
use openevent_testkit::{Reply, until};

const PATH: &str = "/api/v1/event-types";

/// Three nodes on one database.
async fn nodes(settings: Settings) -> (Place, Vec<Server>) {
    let place = Place::shared().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(place.serve(settings.clone()).await);
    }
    (place, nodes)
}

/// So many calls at once, spread over the nodes.
async fn burst(nodes: &[Server], calls: usize, path: &str, headers: &[(&str, &str)]) -> Vec<Reply> {
    let calls = (0..calls).map(|n| nodes[n % nodes.len()].get(path, headers));
    futures::future::join_all(calls).await
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

fn remaining(reply: &Reply) -> u32 {
    reply.header("x-ratelimit-remaining").expect("a rate-limit header").parse().expect("a number")
}

#[tokio::test]
async fn of_calls_at_once_over_three_nodes_as_many_succeed_as_the_limit_says() {
    for limit in [1, 10, 100] {
        let (_place, nodes) = nodes(settings()).await;
        let (key, _) = nodes[0].key(&["workflows:read"], Some(limit)).await;

        let replies = burst(&nodes, 3 * limit as usize + 60, PATH, &[("x-api-key", &key)]).await;

        assert_eq!(count(&replies, 200), limit as usize);
        assert_eq!(count(&replies, 429), replies.len() - limit as usize);
    }
}

#[tokio::test]
async fn calls_one_after_the_other_over_three_nodes_are_counted_together_in_every_window() {
    let (place, nodes) = nodes(settings()).await;
    let (key, _) = nodes[0].key(&["workflows:read"], Some(50)).await;
    for _ in 0..2 {
        let mut replies = Vec::new();
        for n in 0..150 {
            replies.push(nodes[n % 3].get(PATH, &[("x-api-key", &key)]).await);
        }

        assert_eq!(count(&replies, 200), 50);
        assert!(replies.iter().all(|reply| reply.header("x-ratelimit-limit") == Some("50")));
        assert!(replies[..3].iter().all(|reply| remaining(reply) >= 45), "little is known to be gone");
        assert!(replies[120..].iter().all(|reply| remaining(reply) == 0 && reply.status == 429));
        place.clock.advance(HOUR_MS);
    }
}

#[tokio::test]
async fn addresses_and_the_static_token_are_counted_together_too() {
    let limits = Settings { static_rate_per_minute: Some(20), address_rate_per_hour: 30, ..settings() };
    let (place, nodes) = nodes(limits).await;

    let strangers = burst(&nodes, 150, PATH, &[]).await;
    let operators = burst(&nodes, 120, PATH, &[OPERATOR]).await;
    place.clock.advance(60_000);
    let a_minute_later = burst(&nodes, 120, PATH, &[OPERATOR]).await;

    assert_eq!((count(&strangers, 401), count(&strangers, 429)), (30, 120));
    assert_eq!((count(&operators, 200), count(&a_minute_later, 200)), (20, 20));
}

#[tokio::test]
async fn what_strangers_leave_is_counted_together_too() {
    let (_place, nodes) = nodes(Settings { public_intake_per_hour: 4, ..settings() }).await;
    let body = r#"{"name":"Cakes","category":"catering"}"#;
    let send = |n: usize| {
        let headers = [("content-type", "application/json")];
        let node = &nodes[n % 3];
        async move { node.send("POST", "/api/v1/public/applications/vendor", &headers, body).await }
    };

    let replies = futures::future::join_all((0..30).map(send)).await;

    assert_eq!((count(&replies, 201), count(&replies, 429)), (4, 26));
}

#[tokio::test]
async fn what_a_node_leased_and_did_not_use_is_given_back() {
    let (place, nodes) = nodes(settings()).await;
    let (key, _) = nodes[0].key(&["workflows:read"], Some(200)).await;
    let headers = [("x-api-key", key.as_str())];
    let first = burst(&nodes[..1], 20, PATH, &headers).await;
    place.clock.advance(2_000);

    let answered = std::cell::Cell::new(count(&first, 200));
    until("another node can use all the rest", async || {
        let reply = nodes[1].get(PATH, &headers).await;
        match reply.status {
            200 => answered.set(answered.get() + 1),
            _ => drop(place.clock.advance(500)),
        }
        (answered.get() == 200).then_some(())
    })
    .await;

    place.clock.advance(500);
    assert_eq!(count(&burst(&nodes, 30, PATH, &headers).await, 429), 30);
}

#[tokio::test]
async fn a_node_that_ends_leaves_the_truth_behind() {
    let (place, mut nodes) = nodes(settings()).await;
    let (key, _) = nodes[0].key(&["workflows:read"], Some(500)).await;
    let headers = [("x-api-key", key.as_str())];
    for _ in 0..33 {
        nodes[0].get(PATH, &headers).await;
    }
    nodes.remove(0).end().await;

    let server = place.serve(settings()).await;

    assert_eq!(remaining(&server.get(PATH, &headers).await), 500 - 34);
}

#[tokio::test]
async fn a_database_that_is_away_locks_nobody_out_and_hears_of_the_calls_later() {
    let place = Place::shared().await;
    let (proxy, location) = place.proxied().await;
    let (cut_off, other) = (place.serve_through(location, settings()).await, place.serve(settings()).await);
    let (key, _) = other.key(&["workflows:read"], Some(100)).await;
    let headers = [("x-api-key", key.as_str())];
    cut_off.get(PATH, &headers).await;

    proxy.refuse().await;
    let mut away = Vec::new();
    for _ in 0..40 {
        away.push(cut_off.get(PATH, &headers).await);
    }
    proxy.restore().await;

    assert_eq!(count(&away, 503), 40, "{}", away[0].text());
    assert!(away.iter().all(|reply| reply.header("x-ratelimit-remaining").is_some()));
    until("the calls are counted everywhere", async || {
        place.clock.advance(1_000);
        (remaining(&other.get(PATH, &headers).await) < 60).then_some(())
    })
    .await;
}
