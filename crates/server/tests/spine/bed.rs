//! A whole server on a database of its own: real engine, real sockets, keys of several tenants.
//!
//! Invariant: everything a test learns, it learns over HTTP; only keys are made behind the server's back, as
//! the command line makes them.
//! Not here: assertions about behaviour.

use crate::driver;
use openevent_delivery::Delivery;
use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::api_key;
use openevent_domain::id::{KeyId, ProjectId};
use openevent_domain::scope::Scopes;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_egress::{Client, Limits, Loopback, Policy};
use openevent_engine::{Calls, Parts, Registry};
use openevent_server::app::webhooks::herald::Teller;
use openevent_server::{App, Settings, serve};
use openevent_store::keys::{KeyRecord, Project};
use openevent_store::{Location, Options, Owner, Store, WriteSet};
use openevent_testkit::{PATIENCE, PostgresDatabase, Reply, SqliteFile, postgres_url, temp_sqlite};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The operator's token.
pub(crate) const OPERATOR: (&str, &str) = ("authorization", "Bearer s3cret");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const YAML: (&str, &str) = ("content-type", "application/yaml");
/// Between two questions of [`Bed::until`].
const PACE: Duration = Duration::from_millis(5);

/// Goes as usual from a fixed time on, and can be put forward.
#[derive(Debug)]
struct Ticking {
    began: Instant,
    ahead_ms: AtomicI64,
}

impl Clock for Ticking {
    fn now(&self) -> Millis {
        driver::begin() + self.began.elapsed().as_millis() as i64 + self.ahead_ms.load(Ordering::SeqCst)
    }
}

/// Counts instead of drawing: different every time.
#[derive(Debug)]
struct Counting(AtomicU64);

impl Chance for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = mixed(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }
}

/// Neighbours in the count share nothing that shows: two keys are never alike.
fn mixed(count: u64) -> u8 {
    let spread = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let once = (spread ^ (spread >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (twice >> 56) as u8
}

/// Kept until the test ends: dropping it removes the data.
enum Ground {
    Sqlite(SqliteFile),
    Postgres(PostgresDatabase),
}

/// A server, and what a test needs to talk to it.
pub(crate) struct Bed {
    pub(crate) app: Arc<App>,
    pub(crate) client: openevent_testkit::HttpClient,
    base: String,
    clock: Arc<Ticking>,
    owner: Owner,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _ground: Ground,
    keys: tempfile::TempDir,
}

/// Who can reach a server, and how it reaches others.
struct Surroundings {
    development: bool,
    client: Client,
}

impl Surroundings {
    /// This machine only, in both directions.
    fn development() -> Self {
        let policy = Policy::new(Vec::new(), Loopback::Allowed);
        Self { development: true, client: Client::new(policy, Limits::default()) }
    }
}

/// Runs a scenario on SQLite, then on PostgreSQL. The test's output says on which of them it failed.
#[expect(clippy::print_stdout, reason = "shown for a test that failed")]
pub(crate) async fn on_both(scenario: impl AsyncFn(&Bed)) {
    if driver::ON_SQLITE {
        println!("on SQLite");
        run(Ground::Sqlite(temp_sqlite()), &scenario).await;
    }
    println!("on PostgreSQL");
    run(Ground::Postgres(postgres_url().await), &scenario).await;
}

async fn run(ground: Ground, scenario: &impl AsyncFn(&Bed)) {
    let bed = Bed::on(ground, Surroundings::development()).await;
    scenario(&bed).await;
    bed.end().await;
}

impl Bed {
    /// A server on SQLite alone, for what no database can change. End it.
    pub(crate) async fn sqlite() -> Self {
        Self::on(Ground::Sqlite(temp_sqlite()), Surroundings::development()).await
    }

    /// A server on SQLite that others can reach, and that reaches others as this client does. End it.
    pub(crate) async fn reached_by_others(client: Client) -> Self {
        Self::on(Ground::Sqlite(temp_sqlite()), Surroundings { development: false, client }).await
    }

    /// The folder of the default catalog's functions.
    pub(crate) fn functions(&self) -> PathBuf {
        self.keys.path().join("functions")
    }

    #[expect(clippy::disallowed_methods, reason = "the test owns the server's task and awaits it in `end`")]
    async fn on(ground: Ground, surroundings: Surroundings) -> Self {
        let Surroundings { development, client: outside } = surroundings;
        let location = match &ground {
            Ground::Sqlite(file) => Location::File(file.path()),
            Ground::Postgres(database) => Location::Server(database.url().to_owned()),
        };
        let keys = tempfile::tempdir().expect("a folder for keys");
        let (store_owner, owner) = (Owner::default(), Owner::default());
        let options = Options { location, group_max: None };
        let store =
            Arc::new(Store::open(options, driver::begin(), &store_owner).await.expect("the store opens"));
        let ticking = Arc::new(Ticking { began: Instant::now(), ahead_ms: AtomicI64::new(0) });
        let clock: Arc<dyn Clock> = Arc::<Ticking>::clone(&ticking);
        let chance: Arc<dyn Chance> = Arc::new(Counting(AtomicU64::new(driver::seed())));
        let registry = Registry::open(Arc::clone(&store)).await.expect("the registry opens");
        let engine = driver::start(Parts {
            store: Arc::clone(&store),
            registry: Arc::new(registry),
            calls: Calls::Real(outside.clone()),
            clock: Arc::clone(&clock),
            chance: Arc::clone(&chance),
            owner: owner.clone(),
            settings: openevent_engine::Settings {
                secrets: secrets(&keys),
                functions: Some(keys.path().join("functions")),
                ..Default::default()
            },
        });
        let settings = Settings {
            static_token: Some("s3cret".into()),
            development,
            address_rate_per_hour: 1_000_000,
            public_intake_per_hour: 1_000_000,
            key_file: Some(keys.path().join("openevent.key")),
            ..Settings::default()
        };
        let app = App::start(store, engine, clock, chance, settings).await.expect("the app starts");
        deliver(&app, &owner, outside).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Arc::clone(&app), stop.clone()));
        let client = openevent_testkit::HttpClient::new();
        Self { app, client, base, clock: ticking, owner, stop, serving, _ground: ground, keys }
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        drop(self.client);
        self.serving.await.expect("no panic");
        self.owner.stop.cancel();
        self.owner.tasks.close();
        let ended = tokio::time::timeout(PATIENCE, self.owner.tasks.wait()).await;
        assert!(ended.is_ok(), "the engine ends when it is told to");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request as it is written.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<openevent_testkit::Bytes>,
    ) -> Reply {
        let method = http::Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, &self.url(path), headers, body).await
    }

    /// Reads as the operator.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[OPERATOR], "").await
    }

    /// The data of an object or list that is there.
    pub(crate) async fn data(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()["data"].clone()
    }

    /// Posts JSON as the operator.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[OPERATOR, JSON], body.to_string()).await
    }

    /// Posts text to the one path with two meanings.
    pub(crate) async fn ingest(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send("POST", "/api/v1/events", headers, body.to_owned()).await
    }

    /// Sends a signal as the operator; answers the acknowledgement's data.
    pub(crate) async fn signal(&self, name: &str, payload: Value) -> Value {
        let reply = self.post("/api/v1/events", &json!({"name": name, "payload": payload})).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()["data"].clone()
    }

    /// How many signals the operator's tenant has.
    pub(crate) async fn signals_total(&self) -> i64 {
        self.get("/api/v1/signals?limit=1").await.json()["meta"]["total"].as_i64().expect("a total")
    }

    /// Puts a definition of the namespace `shop` as the operator.
    pub(crate) async fn put(&self, name: &str, source: &str) -> Reply {
        self.send("PUT", &format!("/api/v1/workflows/shop/{name}"), &[OPERATOR, YAML], source.to_owned())
            .await
    }

    /// Puts a definition that must be good: its name, the filter that starts it (or nothing), its tasks.
    pub(crate) async fn load(&self, name: &str, filter: &str, rest: &str) {
        let reply = self.put(name, &workflow(name, filter, rest)).await;
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
    }

    /// Waits until a run has ended, and shows it.
    pub(crate) async fn ended(&self, run: &Value) -> Value {
        let path = format!("/api/v1/runs/{}", run.as_str().expect("a run's id"));
        self.until(&path, |run| run.get("endedAt").is_some()).await
    }

    /// Asks again and again until the object is as wanted; panics after the testkit's patience.
    pub(crate) async fn until(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            let mut pace = tokio::time::interval(PACE);
            loop {
                pace.tick().await;
                let data = self.data(path).await;
                if is_wanted(&data) {
                    break data;
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        let Ok(data) = answer else { panic!("never as wanted: {path}: {}", self.data(path).await) };
        data
    }

    /// Puts the clock forward.
    pub(crate) fn forward(&self, by_ms: i64) {
        self.clock.ahead_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// Puts the clock forward again and again, by `step_ms` each time, until the object is as wanted.
    pub(crate) async fn forward_until(
        &self,
        step_ms: i64,
        path: &str,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.until(path, |data| {
            self.forward(step_ms);
            is_wanted(data)
        })
        .await
    }

    /// A live key of the operator's project.
    pub(crate) async fn key(&self, scopes: &[&str]) -> String {
        let project = self.app.keyring.operator().project_id.clone();
        self.key_of(&project, Environment::Live, scopes).await
    }

    /// A key as the command line makes one.
    pub(crate) async fn key_of(
        &self,
        project: &ProjectId,
        environment: Environment,
        scopes: &[&str],
    ) -> String {
        self.store_key(project, environment, scopes, true).await
    }

    /// A key as members of a project make one: its `*` does not reach beyond the project.
    pub(crate) async fn plain_key_of(
        &self,
        project: &ProjectId,
        environment: Environment,
        scopes: &[&str],
    ) -> String {
        self.store_key(project, environment, scopes, false).await
    }

    async fn store_key(
        &self,
        project: &ProjectId,
        environment: Environment,
        scopes: &[&str],
        is_instance: bool,
    ) -> String {
        let text = api_key::mint(environment, self.app.chance.as_ref());
        let now = self.app.clock.now();
        let record = KeyRecord {
            id: KeyId::mint(now, self.app.chance.as_ref()),
            tenant: Tenant::of(project, environment),
            project_id: project.clone(),
            name: "a key".into(),
            key_hash: api_key::hash(&text),
            key_prefix: api_key::shown_prefix(&text),
            scopes: Scopes::parse(scopes.iter().copied()).expect("known scopes"),
            rate_limit: Some(100_000),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            created_at: now,
            is_instance,
            created_by: None,
            version: 1,
        };
        let mut set = WriteSet::new();
        set.add_key(&record);
        self.app.store.submit(set).await.expect("the key is stored");
        text
    }

    /// Another tenant's project.
    pub(crate) async fn project(&self, name: &str) -> ProjectId {
        let now = self.app.clock.now();
        let id = ProjectId::mint(now, self.app.chance.as_ref());
        let candidate = Project { id, name: name.to_owned(), created_at: now };
        self.app.store.ensure_project(candidate).await.expect("the project is stored").id
    }
}

/// Sends what is owed to webhooks, with pauses a test can wait for.
async fn deliver(app: &Arc<App>, owner: &Owner, client: Client) {
    let parts = openevent_delivery::Parts {
        store: Arc::clone(&app.store),
        client,
        keys: Arc::clone(&app.webhook_keys),
        herald: Arc::new(Teller::new(app.engine.clone(), Arc::clone(&app.chance))),
        clock: Arc::clone(&app.clock),
        chance: Arc::clone(&app.chance),
        owner: owner.clone(),
        settings: openevent_delivery::Settings {
            timeout: Duration::from_millis(700),
            look_every: Duration::from_millis(50),
            drain: Duration::from_millis(500),
            ..Default::default()
        },
    };
    Delivery::start(parts).await.expect("what is owed is sent");
}

/// Secrets are sealed under keys in a folder of the test's own.
fn secrets(keys: &tempfile::TempDir) -> openevent_engine::SecretSettings {
    let key_file = Some(keys.path().join("openevent.key"));
    openevent_engine::SecretSettings { key_file, ..Default::default() }
}

/// A workflow's text: its name, the filter that starts it (or nothing), and the rest from column 0 on.
pub(crate) fn workflow(name: &str, filter: &str, rest: &str) -> String {
    let head = format!("document: {{ dsl: '1.0.0', namespace: shop, name: {name}, version: '1.0.0' }}\n");
    if filter.is_empty() {
        return format!("{head}{rest}");
    }
    format!("{head}schedule: {{ on: {{ one: {{ with: {filter} }} }} }}\n{rest}")
}

/// The code of a refusal, whose envelope is checked.
pub(crate) fn code(reply: &Reply) -> String {
    let body = reply.json();
    assert_eq!(body["success"], false, "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(reply.header("x-request-id").is_some(), "every answer has an id");
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// Fields and words of a refused signal, whose envelope is checked.
pub(crate) fn refusal(reply: &Reply) -> Vec<(String, String)> {
    let body = reply.json();
    assert_eq!((reply.status, code(reply).as_str()), (400, "validation_error"), "{body}");
    assert_eq!(body["error"]["message"], "Invalid event format");
    let details = &body["error"]["details"];
    let one = |issue: &Value| {
        (issue["field"].as_str().unwrap_or("?").to_owned(), issue["issue"].as_str().unwrap_or("?").to_owned())
    };
    let first = one(details);
    match details.get("issues") {
        None => vec![first],
        Some(issues) => {
            let all: Vec<_> = issues.as_array().expect("a list").iter().map(one).collect();
            assert!(all.len() > 1 && all[0] == first, "{details}");
            all
        }
    }
}
