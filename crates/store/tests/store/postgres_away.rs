//! PostgreSQL goes away and comes back.
//!
//! Invariant: meanwhile every call says `Unavailable` in bounded time; afterwards the same store works, what
//! was acknowledged is there, and what was not is there as a whole or not at all.
//! Not here: a database that is only slow.

use crate::support::{NOW, open, run, set, signal, tenant, until};
use openevent_domain::id::{RunId, SignalId};
use openevent_store::idempotency::Remembered;
use openevent_store::{Error, Location, Owner, Store, WriteSet};
use openevent_testkit::{ChaosProxy, PATIENCE, PostgresDatabase, postgres_url};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A store with a proxy between it and its server.
struct Line {
    store: Arc<Store>,
    proxy: ChaosProxy,
    owner: Owner,
    _database: PostgresDatabase,
}

impl Line {
    async fn start(settings: &str) -> Self {
        let database = postgres_url().await;
        let proxy = ChaosProxy::start(database.server_address().await).await;
        let owner = Owner::default();
        let url = format!("{}{settings}", database.url_through(proxy.address()));
        let store = open(Location::Server(url), &owner).await.expect("a store behind a proxy");
        Self { store: Arc::new(store), proxy, owner, _database: database }
    }

    /// Until the store writes and reads again, by itself.
    async fn recovered(&self) {
        until("the store writes again", async || self.store.submit(rows().0).await.ok()).await;
        until("the store reads again", async || self.store.ping().await.ok()).await;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.owner.stop.cancel();
    }
}

/// A set over three tables, and what to look for.
fn rows() -> (WriteSet, SignalId, RunId) {
    let (signal, run) = (Arc::new(signal("n", NOW)), Arc::new(run("a", NOW)));
    let remembered = Remembered { fingerprint: "f".into(), answer: "{}".into(), created_at: NOW };
    let filled = set(|set| {
        set.add_signal(Arc::clone(&signal));
        set.add_run(Arc::clone(&run));
        set.remember(&tenant(), signal.id.as_str(), &remembered);
    });
    (filled, signal.id.clone(), run.id.clone())
}

/// How many of a set's three rows are there.
async fn found(store: &Store, signal: &SignalId, run: &RunId) -> usize {
    let rows = [
        store.signal(&tenant(), signal).await.expect("an answer").is_some(),
        store.run(&tenant(), run).await.expect("an answer").is_some(),
        store.recall(&tenant(), signal.as_str(), NOW).await.expect("an answer").is_some(),
    ];
    rows.into_iter().filter(|there| *there).count()
}

fn is_away<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    result.is_err_and(|cause| cause.is_unavailable())
}

#[tokio::test]
async fn a_server_that_refuses_is_unavailable_until_it_is_back() {
    let line = Line::start("").await;
    line.recovered().await;

    line.proxy.refuse().await;
    let (refused, signal, run) = rows();
    let (wrote, read, pinged) =
        (line.store.submit(refused).await, line.store.signals_last().await, line.store.ping().await);
    line.proxy.restore().await;
    line.recovered().await;

    assert!(is_away(wrote) && is_away(read) && is_away(pinged));
    assert_eq!(found(&line.store, &signal, &run).await, 0);
}

#[tokio::test]
async fn a_silent_server_is_unavailable_in_bounded_time() {
    let line = Line::start("?connect_timeout=1").await;
    line.recovered().await;

    line.proxy.black_hole().await;
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..40 {
        let (reader, writer) = (Arc::clone(&line.store), Arc::clone(&line.store));
        asking.spawn(async move { is_away(reader.signals_last().await) });
        asking.spawn(async move { is_away(writer.submit(rows().0).await) });
    }
    let answers = asking.join_all().await;
    let first = began.elapsed();
    let later = (is_away(line.store.ping().await), is_away(line.store.submit(rows().0).await));
    line.proxy.restore().await;
    line.recovered().await;

    assert!(answers.into_iter().all(|away| away) && later == (true, true));
    assert!(first < Duration::from_secs(8), "{first:?}");
}

#[tokio::test]
async fn a_store_does_not_open_on_a_silent_server() {
    let database = postgres_url().await;
    let proxy = ChaosProxy::start(database.server_address().await).await;
    let url = format!("{}?connect_timeout=1", database.url_through(proxy.address()));
    proxy.black_hole().await;

    let opened = tokio::time::timeout(PATIENCE, open(Location::Server(url), &Owner::default())).await;

    assert!(is_away(opened.expect("an answer in bounded time")));
}

#[tokio::test]
async fn a_commit_that_was_held_back_is_whole_or_not_at_all() {
    let line = Line::start("?connect_timeout=1").await;
    line.recovered().await;

    line.proxy.black_hole().await;
    let (held, signal, run) = rows();
    let unanswered = line.store.submit(held).await;
    line.proxy.restore().await;
    line.recovered().await;

    assert!(is_away(unanswered));
    let there = found(&line.store, &signal, &run).await;
    assert!(there == 0 || there == 3, "{there} of 3 rows");
}

/// One writer's memory: what it submitted, and whether it was acknowledged.
async fn write_until(
    stop: Arc<AtomicBool>,
    store: Arc<Store>,
    landed: Arc<AtomicUsize>,
) -> Vec<(bool, SignalId, RunId)> {
    let mut written = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let (set, signal, run) = rows();
        let acknowledged = match store.submit(set).await {
            Ok(()) => true,
            Err(cause) => {
                assert!(cause.is_unavailable(), "{cause:?}");
                tokio::task::yield_now().await;
                false
            }
        };
        landed.fetch_add(usize::from(acknowledged), Ordering::SeqCst);
        written.push((acknowledged, signal, run));
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_connections_are_cut() {
    let line = Line::start("").await;
    let (stop, landed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        writers.spawn(write_until(Arc::clone(&stop), Arc::clone(&line.store), Arc::clone(&landed)));
    }

    for round in 1..=12 {
        until("writers get on", async || (landed.load(Ordering::SeqCst) > round * 60).then_some(())).await;
        line.proxy.cut().await;
    }
    stop.store(true, Ordering::SeqCst);
    let written: Vec<_> = writers.join_all().await.into_iter().flatten().collect();

    until("the store reads again", async || line.store.ping().await.ok()).await;
    for (acknowledged, signal, run) in written {
        let there = found(&line.store, &signal, &run).await;
        assert!(
            there == 3 || (there == 0 && !acknowledged),
            "{there} of 3 rows, acknowledged: {acknowledged}"
        );
    }
}
