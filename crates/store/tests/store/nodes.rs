//! Many nodes on one PostgreSQL.
//!
//! Invariant: the log's order is the order of commits on all of them together; who waits, waits briefly.
//! Not here: leases (`leases.rs`), who is told (`notices.rs`).

use crate::support::{Bed, NOW, run, set, signal, store_runs, store_signals, tenant, until};
use openevent_store::rates::Count;
use openevent_store::{Location, Store};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// A session of the test's own.
async fn session(bed: &Bed, driving: &mut JoinSet<()>) -> Client {
    let Location::Server(url) = bed.location() else { panic!("PostgreSQL only") };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("one more session");
    driving.spawn(async move {
        // Ends with the client.
        let _ = connection.await;
    });
    client
}

/// Waits until so many sessions of this database wait for a lock.
async fn until_blocked(client: &Client, sessions: i64) {
    let question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("sessions wait for a lock", async || {
        let blocked: i64 = client.query_one(question, &[]).await.expect("a count").get(0);
        (blocked >= sessions).then_some(())
    })
    .await;
}

async fn write_many(store: Arc<Store>) {
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move { store_signals(&store, (0..40).map(|n| signal("n", NOW + n))).await });
    }
    writers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_follows_the_log_by_place_misses_nothing_that_another_node_wrote() {
    let bed = Bed::postgres().await;
    let (one, two) = (bed.another().await, bed.another().await);
    let mut writing = JoinSet::new();
    writing.spawn(write_many(one));
    writing.spawn(write_many(two));

    let (mut place, mut seen) = (0, HashSet::new());
    while seen.len() < 640 {
        let all_written = writing.is_empty();
        let found = bed.store.signals_after(&tenant(), place, 100).await.unwrap();
        assert!(!(all_written && found.is_empty()), "only {} of 640 were seen", seen.len());
        place = found.last().map_or(place, |record| record.seq);
        seen.extend(found.into_iter().map(|record| record.id));
        while writing.try_join_next().is_some() {}
    }

    assert_eq!(bed.store.signals_last().await.unwrap(), place);
}

#[tokio::test]
async fn a_signal_is_not_committed_before_one_that_was_numbered_earlier() {
    let (bed, mut driving) = (Bed::postgres().await, JoinSet::new());
    let (other, stranger) = (bed.another().await, session(&bed, &mut driving).await);
    let witness = session(&bed, &mut driving).await;
    let runs = store_runs(&bed.store, [run("a", NOW)]).await;
    stranger.batch_execute("BEGIN; UPDATE runs SET status = 'running'").await.unwrap();

    let (first, second) = (Arc::new(signal("first", NOW)), Arc::new(signal("second", NOW)));
    let mut writing = JoinSet::new();
    let held_up = set(|set| {
        set.add_signal(Arc::clone(&first));
        set.mark_run(&runs[0], "waiting");
    });
    let store = Arc::clone(&bed.store);
    writing.spawn(async move { store.submit(held_up).await });
    until_blocked(&witness, 1).await;
    let after = set(|set| set.add_signal(Arc::clone(&second)));
    writing.spawn(async move { other.submit(after).await });
    until_blocked(&witness, 2).await;
    let meanwhile = bed.store.signals_last().await.unwrap();
    stranger.batch_execute("COMMIT").await.unwrap();
    let done = writing.join_all().await;

    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let log = bed.store.signals_after(&tenant(), 0, 10).await.unwrap();
    let names: Vec<_> = log.iter().map(|record| record.name.as_str()).collect();
    assert_eq!((meanwhile, names), (0, vec!["first", "second"]));
}

#[tokio::test]
async fn a_group_that_the_server_ended_to_free_another_is_written_again() {
    let (bed, mut driving) = (Bed::postgres().await, JoinSet::new());
    let stranger = Arc::new(session(&bed, &mut driving).await);
    let witness = session(&bed, &mut driving).await;
    let count = |subject: &str, calls| Count { subject: subject.into(), window_start: NOW, calls };
    let both = |calls| {
        set(|set| {
            set.put_count(&count("b", calls));
            set.put_count(&count("a", calls));
        })
    };
    bed.store.submit(both(1)).await.unwrap();
    // The stranger is patient, so the server ends the store's transaction when each waits for the other.
    stranger.batch_execute("SET deadlock_timeout = '60s'; BEGIN").await.unwrap();
    stranger.batch_execute("UPDATE rate_counts SET calls = 7 WHERE subject = 'a'").await.unwrap();

    let store = Arc::clone(&bed.store);
    let mut writing = JoinSet::new();
    let ours = both(2);
    writing.spawn(async move { store.submit(ours).await });
    until_blocked(&witness, 1).await;
    stranger.batch_execute("UPDATE rate_counts SET calls = 7 WHERE subject = 'b'; COMMIT").await.unwrap();
    let done = writing.join_all().await;

    assert!(done[0].is_ok(), "{:?}", done[0]);
    let counts = bed.store.counts(NOW).await.unwrap();
    assert!(counts.len() == 2 && counts.iter().all(|count| count.calls == 2), "{counts:?}");
}
