//! A database with engines on it, and the helpers to send signals and wait for runs.
//!
//! Invariant: the witness, a store of the test's own, asks questions without meeting the engine's faults.
//! Not here: assertions about behaviour.

use crate::simulated::Simulated;
use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::signal::{Attributes, SignalName};
use openevent_domain::tenant::Tenant;
use openevent_egress::{Client, Limits, Loopback, Policy};
use openevent_engine::{Admitted, Calls, Draft, Engine, Parts, Refusal, Registry, Settings};
use openevent_flow::Definition;
use openevent_store::runs::{self, RunRecord};
use openevent_store::signals::{Filter, Order, Place, SignalRecord};
use openevent_store::workflows::{Origin, WorkflowRecord};
use openevent_store::{Error, Location, Options, Owner, Store, WriteSet};
pub(crate) use openevent_testkit::until;
use openevent_testkit::{PATIENCE, PostgresDatabase, SqliteFile, postgres_url, temp_sqlite};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

/// When every test begins: 1 January 2026.
const NOW: Millis = 1_767_225_600_000;

/// A clock that goes as usual from a fixed time on, and can be put forward.
#[derive(Debug)]
pub(crate) struct TestClock {
    began: Instant,
    ahead_ms: AtomicI64,
}

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), ahead_ms: AtomicI64::new(0) })
    }

    /// Puts the clock forward.
    pub(crate) fn advance(&self, by_ms: i64) {
        self.ahead_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        NOW + self.began.elapsed().as_millis() as i64 + self.ahead_ms.load(Ordering::SeqCst)
    }
}

/// A chance that counts: no two fills are equal.
#[derive(Debug)]
struct Counter;

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        bytes.fill(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, digit) in bytes.iter_mut().rev().zip(count) {
            *byte = digit;
        }
    }
}

enum Ground {
    Sqlite(SqliteFile),
    Postgres(PostgresDatabase),
}

/// A database, the store engines share, and the witness.
pub(crate) struct Bed {
    pub(crate) store: Arc<Store>,
    pub(crate) witness: Arc<Store>,
    pub(crate) clock: Arc<TestClock>,
    owner: Owner,
    location: Location,
    cluster: Option<Arc<Simulated>>,
    _ground: Ground,
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        Self::on(Ground::Sqlite(temp_sqlite())).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(Ground::Postgres(postgres_url().await)).await
    }

    async fn on(ground: Ground) -> Self {
        let location = match &ground {
            Ground::Sqlite(file) => Location::File(file.path()),
            Ground::Postgres(database) => Location::Server(database.url().to_owned()),
        };
        let owner = Owner::default();
        let (store, witness) = (open(&location, &owner).await, open(&location, &owner).await);
        let clock = TestClock::new();
        let cluster = crate::ON_A_CLUSTER.then(|| Simulated::new(Arc::clone(&clock)));
        Self { store, witness, clock, owner, location, cluster, _ground: ground }
    }

    /// Puts workflows into the store.
    pub(crate) async fn load(&self, sources: &[&str]) {
        for source in sources {
            let definition = match Definition::parse(source) {
                Ok(parsed) => parsed.definition,
                Err(issues) => panic!("{issues:?}"),
            };
            let workflow = WorkflowRecord {
                tenant: tenant(),
                namespace: definition.namespace().into(),
                name: definition.name().into(),
                version: definition.version().into(),
                definition_hash: definition.hash().into(),
                origin: Origin::Api,
                created_at: NOW,
                updated_at: NOW,
                source: (*source).into(),
                documents: openevent_flow::Documents::default(),
            };
            let mut set = WriteSet::new();
            set.put_workflow(&workflow);
            self.witness.submit(set).await.expect("a workflow is put");
        }
    }

    /// An engine on the shared store.
    pub(crate) async fn node(&self) -> Node {
        self.node_with(Settings::default()).await
    }

    /// The same with other settings.
    pub(crate) async fn node_with(&self, settings: Settings) -> Node {
        Node::start(Arc::clone(&self.store), Arc::clone(&self.clock), settings, self.cluster.clone()).await
    }

    /// The same, whose calls are answered at once.
    pub(crate) async fn node_without_network(&self) -> Node {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        Node::start_with(store, clock, Settings::default(), Calls::Instant, self.cluster.clone()).await
    }

    /// An engine with a store and a clock of its own, as on another machine.
    pub(crate) async fn node_elsewhere(&self) -> Node {
        let store = open(&self.location, &self.owner).await;
        Node::start(store, TestClock::new(), Settings::default(), self.cluster.clone()).await
    }

    /// Waits until a run has ended and answers it.
    pub(crate) async fn ended(&self, run: &RunId) -> RunRecord {
        until("the run ends", async || {
            let found = self.witness.run(&tenant(), run).await.expect("an answer");
            found.filter(|record| record.ended_at.is_some())
        })
        .await
    }

    /// Removes a workflow from the store.
    pub(crate) async fn unload(&self, name: &str) {
        let mut set = WriteSet::new();
        set.delete_workflow_version(&tenant(), "shop", name, "1.0.0");
        self.witness.submit(set).await.expect("a workflow is removed");
    }

    /// All runs of a workflow, oldest first.
    pub(crate) async fn runs_of(&self, workflow: &str) -> Vec<RunRecord> {
        let filter = runs::Filter { name: Some(workflow.into()), ..runs::Filter::default() };
        let found = self.witness.runs(&tenant(), &filter, &runs::Place::Offset(0), 1_000).await;
        found.expect("an answer").into_iter().rev().collect()
    }

    /// Waits until a workflow has so many runs and all of them have ended.
    pub(crate) async fn all_ended(&self, workflow: &str, count: usize) -> Vec<RunRecord> {
        until("all runs end", async || {
            let found = self.runs_of(workflow).await;
            (found.len() >= count && found.iter().all(|run| run.ended_at.is_some())).then_some(found)
        })
        .await
    }

    /// All signals of a name, oldest first.
    pub(crate) async fn signals_of(&self, name: &str) -> Vec<SignalRecord> {
        let filter = Filter { name: Some(name.into()), ..Filter::default() };
        let found =
            self.witness.signals(&tenant(), &filter, Order::OldestFirst, Place::Offset(0), 1_000).await;
        found.expect("an answer")
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.owner.stop.cancel();
    }
}

async fn open(location: &Location, owner: &Owner) -> Arc<Store> {
    let options = Options { location: location.clone(), group_max: None };
    Arc::new(Store::open(options, NOW, owner).await.expect("a database opens"))
}

/// One engine and what it stands on.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<TestClock>,
    owner: Owner,
}

impl Node {
    async fn start(
        store: Arc<Store>,
        clock: Arc<TestClock>,
        settings: Settings,
        cluster: Option<Arc<Simulated>>,
    ) -> Self {
        let policy = Policy::new(Vec::new(), Loopback::Allowed);
        let calls = Calls::Real(Client::new(policy, Limits::default()));
        Self::start_with(store, clock, settings, calls, cluster).await
    }

    async fn start_with(
        store: Arc<Store>,
        clock: Arc<TestClock>,
        settings: Settings,
        calls: Calls,
        cluster: Option<Arc<Simulated>>,
    ) -> Self {
        let owner = Owner::default();
        let registry = Registry::open(Arc::clone(&store)).await.expect("a registry");
        let parts = Parts {
            store: Arc::clone(&store),
            registry: Arc::new(registry),
            calls,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            chance: Arc::new(Counter),
            owner: owner.clone(),
            settings,
        };
        let engine = match cluster {
            None => Engine::start(parts).expect("an engine"),
            Some(cluster) => {
                let engine = Engine::coordinate(parts, Arc::clone(&cluster) as _).expect("an engine");
                cluster.employ(engine.desk().expect("a desk"), owner.stop.clone());
                engine
            }
        };
        Self { engine, store, clock, owner }
    }

    /// Matches and checks a message, nothing more.
    pub(crate) fn admit(&self, name: &str, payload: Value) -> Result<Admitted, Refusal> {
        let Value::Object(payload) = payload else { panic!("a payload is an object") };
        let draft = Draft {
            tenant: tenant(),
            name: SignalName::parse(name).expect("a name"),
            payload,
            attributes: Attributes::default(),
            replay_of: None,
        };
        self.engine.spine().admit(draft, self.clock.now())
    }

    /// Sends a signal; answers it with the runs it starts.
    pub(crate) async fn send(&self, name: &str, payload: Value) -> Admitted {
        let admitted = self.admit(name, payload).expect("a message that is admitted");
        write(&self.store, &admitted).await;
        admitted
    }

    /// Sends a signal that starts one run; answers the run.
    pub(crate) async fn start_run(&self, name: &str, payload: Value) -> RunId {
        let admitted = self.send(name, payload).await;
        assert_eq!(admitted.runs.len(), 1, "runs started by {name}");
        admitted.runs[0].id.clone()
    }

    /// Sends a signal that starts several runs; answers the one of a workflow.
    pub(crate) async fn start_run_of(&self, workflow: &str, name: &str, payload: Value) -> RunId {
        let admitted = self.send(name, payload).await;
        let run = admitted.runs.iter().find(|run| run.name == workflow);
        run.unwrap_or_else(|| panic!("{name} starts no run of {workflow}")).id.clone()
    }

    /// Ends the engine without letting it finish anything.
    pub(crate) async fn stop(self) {
        self.owner.stop.cancel();
        self.owner.tasks.close();
        let ended = tokio::time::timeout(PATIENCE, self.owner.tasks.wait()).await;
        assert!(ended.is_ok(), "an engine ends when it is told to");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.owner.stop.cancel();
    }
}

/// Writes a signal with its runs, again and again if the database is away, as a client with a key would.
pub(crate) async fn write(store: &Store, admitted: &Admitted) {
    loop {
        let mut set = WriteSet::new();
        admitted.write(&mut set);
        match store.submit(set).await {
            Ok(()) | Err(Error::Exists { .. }) => return,
            Err(cause) => assert!(cause.is_unavailable(), "{cause:?}"),
        }
    }
}

/// Runs a scenario on SQLite, then on PostgreSQL. The test's output says on which of them it failed.
#[expect(clippy::print_stdout, reason = "shown for a test that failed")]
pub(crate) async fn on_both(scenario: impl AsyncFn(&Bed)) {
    println!("on SQLite");
    scenario(&Bed::sqlite().await).await;
    println!("on PostgreSQL");
    scenario(&Bed::postgres().await).await;
}

/// Whose everything is.
pub(crate) fn tenant() -> Tenant {
    Tenant::trusted("prj_1.live".into())
}

/// What a signal's story says of its triggers: workflow, whether matched, why not.
pub(crate) async fn triggers(bed: &Bed, signal: &SignalId) -> Vec<(String, bool, Option<String>)> {
    let stored = bed.witness.signal(&tenant(), signal).await.expect("an answer").expect("a signal");
    stored.triggers.into_iter().map(|one| (one.workflow, one.matched, one.reason)).collect()
}

/// A workflow's text: its name, the filter that starts it (or nothing), and the rest from column 0 on.
pub(crate) fn workflow(name: &str, filter: &str, rest: &str) -> String {
    let head = format!("document: {{ dsl: '1.0.0', namespace: shop, name: {name}, version: '1.0.0' }}\n");
    let schedule = if filter.is_empty() {
        String::new()
    } else {
        format!("schedule: {{ on: {{ one: {{ with: {filter} }} }} }}\n")
    };
    format!("{head}{schedule}{rest}")
}
