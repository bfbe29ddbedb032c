//! A server for one test: its clock, its client, its keys.
//!
//! Invariant: two servers of one [`Place`] share data, as two processes would.
//! Not here: assertions.

use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::api_key;
use openevent_domain::id::KeyId;
use openevent_domain::scope::Scopes;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_engine::{Calls, Engine, Parts, Registry};
use openevent_server::{App, Settings, StartError, router, serve};
use openevent_store::keys::KeyRecord;
use openevent_store::{Location, Options, Owner, Store, WriteSet};
use openevent_testkit::{
    ChaosProxy, FakeClock, HttpClient, PostgresDatabase, Reply, SqliteFile, postgres_url, temp_sqlite,
};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The token of the operator.
pub(crate) const OPERATOR: (&str, &str) = ("authorization", "Bearer s3cret");
pub(crate) const START: Millis = 1_767_225_600_000;
pub(crate) const HOUR_MS: Millis = 3_600_000;

#[derive(Debug)]
struct Hands(FakeClock);

impl Clock for Hands {
    fn now(&self) -> Millis {
        self.0.now_ms()
    }
}

/// Counts instead of drawing: different every time, the same in every run.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Chance for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = (self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}

/// What keeps a database there.
enum Ground {
    File(SqliteFile),
    Server(PostgresDatabase),
}

/// Where the data is, and what time it is there.
pub(crate) struct Place {
    ground: Ground,
    pub(crate) clock: FakeClock,
    pub(crate) chance: Arc<dyn Chance>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::on(Ground::File(temp_sqlite()))
    }

    /// One that any number of nodes can share.
    pub(crate) async fn shared() -> Self {
        Self::on(Ground::Server(postgres_url().await))
    }

    fn on(ground: Ground) -> Self {
        Self { ground, clock: FakeClock::at(START), chance: Arc::new(Counting::default()) }
    }

    fn location(&self) -> Location {
        match &self.ground {
            Ground::File(file) => Location::File(file.path()),
            Ground::Server(database) => Location::Server(database.url().to_owned()),
        }
    }

    /// A proxy before its database, and where the database is behind it.
    pub(crate) async fn proxied(&self) -> (ChaosProxy, Location) {
        let Ground::Server(database) = &self.ground else { panic!("a file has no address") };
        let proxy = ChaosProxy::start(database.server_address().await).await;
        let location = Location::Server(database.url_through(proxy.address()));
        (proxy, location)
    }

    pub(crate) async fn store(&self) -> Arc<Store> {
        open(self.location()).await
    }

    pub(crate) async fn app(&self, settings: Settings) -> Arc<App> {
        self.try_app(settings).await.expect("the app starts")
    }

    pub(crate) async fn try_app(&self, settings: Settings) -> Result<Arc<App>, StartError> {
        self.app_on(self.store().await, settings).await
    }

    async fn app_on(&self, store: Arc<Store>, settings: Settings) -> Result<Arc<App>, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(Hands(self.clock.clone()));
        let chance = Arc::clone(&self.chance);
        let engine = idle_engine(&store, &clock, &chance).await;
        App::start(store, engine, clock, chance, settings).await
    }

    pub(crate) async fn serve(&self, settings: Settings) -> Server {
        Server::start(self.app(settings).await, self.clock.clone()).await
    }

    /// A server whose way to the database is another.
    pub(crate) async fn serve_through(&self, location: Location, settings: Settings) -> Server {
        let app = self.app_on(open(location).await, settings).await.expect("the app starts");
        Server::start(app, self.clock.clone()).await
    }
}

async fn open(location: Location) -> Arc<Store> {
    let options = Options { location, group_max: None };
    Arc::new(Store::open(options, START, &Owner::default()).await.expect("the store opens"))
}

/// An engine that never runs anything: nothing here starts a run.
async fn idle_engine(store: &Arc<Store>, clock: &Arc<dyn Clock>, chance: &Arc<dyn Chance>) -> Engine {
    let owner = Owner::default();
    owner.stop.cancel();
    let registry = Registry::open(Arc::clone(store)).await.expect("the registry opens");
    let parts = Parts {
        store: Arc::clone(store),
        registry: Arc::new(registry),
        calls: Calls::Instant,
        clock: Arc::clone(clock),
        chance: Arc::clone(chance),
        owner: owner.clone(),
        settings: openevent_engine::Settings::default(),
    };
    let engine = Engine::start(parts).expect("the engine starts");
    owner.tasks.close();
    owner.tasks.wait().await;
    engine
}

/// A server that listens.
pub(crate) struct Server {
    pub(crate) app: Arc<App>,
    pub(crate) clock: FakeClock,
    pub(crate) client: HttpClient,
    pub(crate) base: String,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// Settings with the operator's token of these tests.
pub(crate) fn settings() -> Settings {
    Settings { static_token: Some("s3cret".into()), development: true, bench: true, ..Settings::default() }
}

/// A server and the place it lives in.
pub(crate) async fn fresh() -> (Place, Server) {
    let place = Place::new();
    let server = place.serve(settings()).await;
    (place, server)
}

/// The state alone, without a server's background work: the store sees a test's own calls only.
pub(crate) async fn alone() -> (Place, Arc<App>) {
    let place = Place::new();
    let app = place.app(settings()).await;
    (place, app)
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the test owns the server's task and awaits it in `end`")]
    pub(crate) async fn start(app: Arc<App>, clock: FakeClock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Arc::clone(&app), stop.clone()));
        Self { app, clock, client: HttpClient::new(), base, stop, serving }
    }

    /// Asks to stop, as SIGTERM would.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops, and waits until everything is finished.
    pub(crate) async fn end(self) {
        self.stop();
        drop(self.client);
        self.serving.await.expect("no panic");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.client.get(&self.url(path), headers).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let method = http::Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, &self.url(path), headers, body.to_owned()).await
    }

    /// Sends JSON as the operator.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, &[OPERATOR, ("content-type", "application/json")], &body.to_string()).await
    }

    /// A key as the command line makes one.
    pub(crate) async fn key(&self, scopes: &[&str], rate_limit: Option<u32>) -> (String, KeyRecord) {
        let text = api_key::mint(Environment::Live, self.app.chance.as_ref());
        let record = self.record(&text, scopes, rate_limit);
        self.add(&record).await;
        (text, record)
    }

    pub(crate) fn record(&self, text: &str, scopes: &[&str], rate_limit: Option<u32>) -> KeyRecord {
        let project_id = self.app.keyring.operator().project_id.clone();
        KeyRecord {
            id: KeyId::mint(self.clock.now_ms(), self.app.chance.as_ref()),
            tenant: Tenant::of(&project_id, Environment::Live),
            project_id,
            name: "a key".into(),
            key_hash: api_key::hash(text),
            key_prefix: api_key::shown_prefix(text),
            scopes: Scopes::parse(scopes.iter().copied()).expect("known scopes"),
            rate_limit,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            created_at: self.clock.now_ms(),
            is_instance: true,
            created_by: None,
            version: 1,
        }
    }

    pub(crate) async fn add(&self, record: &KeyRecord) {
        let mut set = WriteSet::new();
        set.add_key(record);
        self.app.store.submit(set).await.expect("the key is stored");
    }
}

/// Asks the router itself, without a server's background work: the store sees this request's calls only.
pub(crate) async fn ask(app: &Arc<App>, path: &str) -> Reply {
    let (name, value) = OPERATOR;
    let request =
        http::Request::get(path).header(name, value).body(axum::body::Body::empty()).expect("a request");
    let response = router(Arc::clone(app)).oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    Reply { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// The code of a refusal.
pub(crate) fn code(reply: &Reply) -> String {
    let body = reply.json();
    assert_eq!(body["success"], false, "{body}");
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}
