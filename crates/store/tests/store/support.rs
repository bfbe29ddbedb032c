//! The bed every scenario lies in: a fresh database of either kind, and the rows to fill it with.
//!
//! Invariant: a database ends with its bed. Ids are unique and times fixed, so runs of a test are alike.
//! Not here: assertions.

use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::id::{KeyId, ProjectId, RunId, SignalId};
use openevent_domain::scope::Scopes;
use openevent_domain::signal::Attributes;
use openevent_domain::tenant::Tenant;
use openevent_store::keys::{KeyRecord, Project};
use openevent_store::{Error, Location, NewRun, NewSignal, Options, Owner, Store, TriggerRecord, WriteSet};
pub(crate) use openevent_testkit::until;
use openevent_testkit::{PostgresDatabase, SqliteFile, postgres_url, temp_sqlite};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The time of every test: 1 January 2026.
pub(crate) const NOW: Millis = 1_767_225_600_000;

/// A chance that counts: no two fills are equal.
#[derive(Debug)]
struct Counter(AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, digit) in bytes.iter_mut().rev().zip(count) {
            *byte = digit;
        }
    }
}

/// The one chance of the tests.
pub(crate) fn chance() -> &'static dyn Chance {
    static CHANCE: Counter = Counter(AtomicU64::new(1));
    &CHANCE
}

/// What keeps the database there.
enum Ground {
    Sqlite(SqliteFile),
    Postgres(PostgresDatabase),
}

/// A database and one store open on it.
pub(crate) struct Bed {
    pub(crate) store: Arc<Store>,
    owner: Owner,
    ground: Ground,
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        Self::on(Ground::Sqlite(temp_sqlite())).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(Ground::Postgres(postgres_url().await)).await
    }

    async fn on(ground: Ground) -> Self {
        let owner = Owner::default();
        let store = open(ground.location(), &owner).await.expect("a fresh database opens");
        Self { store: Arc::new(store), owner, ground }
    }

    /// Where the database is.
    pub(crate) fn location(&self) -> Location {
        self.ground.location()
    }

    /// One more store on the same database, as another process would open it.
    pub(crate) async fn another(&self) -> Arc<Store> {
        Arc::new(open(self.location(), &self.owner).await.expect("an open database opens again"))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.owner.stop.cancel();
    }
}

impl Ground {
    fn location(&self) -> Location {
        match self {
            Self::Sqlite(file) => Location::File(file.path()),
            Self::Postgres(database) => Location::Server(database.url().to_owned()),
        }
    }
}

/// Opens a store.
pub(crate) async fn open(location: Location, owner: &Owner) -> Result<Store, Error> {
    Store::open(Options { location, group_max: None }, NOW, owner).await
}

/// Runs a scenario on SQLite, then on PostgreSQL. The test's output says on which of them it failed.
#[expect(clippy::print_stdout, reason = "shown for a test that failed")]
pub(crate) async fn on_both(scenario: impl AsyncFn(&Bed)) {
    println!("on SQLite");
    scenario(&Bed::sqlite().await).await;
    println!("on PostgreSQL");
    scenario(&Bed::postgres().await).await;
}

/// The tenant of most rows.
pub(crate) fn tenant() -> Tenant {
    Tenant::trusted("prj_1.live".into())
}

/// Somebody else.
pub(crate) fn stranger() -> Tenant {
    Tenant::trusted("prj_1.test".into())
}

/// A signal that nobody listens to.
pub(crate) fn signal(name: &str, received_at: Millis) -> NewSignal {
    NewSignal {
        id: SignalId::mint(received_at, chance()),
        tenant: tenant(),
        name: name.into(),
        payload: r#"{"orderId":7}"#.into(),
        attributes: Attributes::default(),
        received_at,
        replay_of: None,
        triggers: Vec::new(),
    }
}

/// What a signal says of a workflow that it started.
pub(crate) fn started(workflow: &str) -> TriggerRecord {
    TriggerRecord { workflow: workflow.into(), matched: true, reason: None }
}

/// A run started by hand.
pub(crate) fn run(name: &str, started_at: Millis) -> NewRun {
    NewRun {
        id: RunId::mint(started_at, chance()),
        tenant: tenant(),
        namespace: "shop".into(),
        name: name.into(),
        version: "1.0.0".into(),
        definition_hash: "hash".into(),
        semantics: 1,
        event_id: None,
        input: Arc::new(serde_json::json!({"orderId": 7})),
        by_events: false,
        started_at,
        parent: None,
    }
}

/// A project.
pub(crate) fn project(name: &str) -> Project {
    Project { id: ProjectId::mint(NOW, chance()), name: name.into(), created_at: NOW }
}

/// A key of a project; `hash` tells keys apart.
pub(crate) fn key(project: &Project, hash: &str) -> KeyRecord {
    KeyRecord {
        id: KeyId::mint(NOW, chance()),
        tenant: tenant(),
        project_id: project.id.clone(),
        name: "ci".into(),
        key_hash: hash.into(),
        key_prefix: "oe_live_abcd".into(),
        scopes: Scopes::parse(["events:read", "runs:*"]).expect("known scopes"),
        rate_limit: Some(50),
        expires_at: Some(NOW + 1),
        revoked_at: None,
        last_used_at: None,
        created_at: NOW,
        is_instance: true,
        created_by: None,
        version: 1,
    }
}

/// A set that a few lines fill.
pub(crate) fn set(fill: impl FnOnce(&mut WriteSet)) -> WriteSet {
    let mut set = WriteSet::new();
    fill(&mut set);
    set
}

/// Stores signals in this order, one set each.
pub(crate) async fn store_signals(
    store: &Store,
    signals: impl IntoIterator<Item = NewSignal>,
) -> Vec<SignalId> {
    let mut ids = Vec::new();
    for signal in signals {
        ids.push(signal.id.clone());
        store.submit(set(|set| set.add_signal(Arc::new(signal)))).await.expect("a signal is stored");
    }
    ids
}

/// Stores runs, one set each.
pub(crate) async fn store_runs(store: &Store, runs: impl IntoIterator<Item = NewRun>) -> Vec<RunId> {
    let mut ids = Vec::new();
    for run in runs {
        ids.push(run.id.clone());
        store.submit(set(|set| set.add_run(Arc::new(run)))).await.expect("a run is stored");
    }
    ids
}
