//! How the configuration becomes the parts of a server: engine, workflows folder, face.
//!
//! Invariant: everything started here belongs to the node's owner and ends with it.
//! Not here: the parts themselves; the order in which they end (`serve.rs`).

use crate::cluster::Cluster;
use crate::config::{BenchCalls, Config};
use crate::failure::{explain, usage};
use crate::node::{Node, explain_store};
use openevent_delivery::Delivery;
use openevent_domain::webhook::Schedule;
use openevent_egress::{Client, Limits, Loopback, Policy};
use openevent_engine::{Calls, Engine, Parts, Registry, SecretSettings};
use openevent_server::App;
use openevent_server::app::folder;
use openevent_server::app::webhooks::herald::Teller;
use openevent_store::Location;
use std::sync::Arc;
use std::time::Duration;

/// Starts the engine on the node's store: the embedded one, or one that says who begins on a cluster.
pub(crate) async fn start_engine(node: &Node, works: bool) -> anyhow::Result<Engine> {
    let is_file = matches!(node.store.location(), Location::File(_));
    if !works && (node.config.temporal.is_none() || is_file) {
        let hint = "start it without --no-worker, or set OPENEVENT_TEMPORAL_ADDRESS and DATABASE_URL";
        return Err(usage("--no-worker leaves runs to workers, which need Temporal and PostgreSQL", hint));
    }
    let parts = engine_parts(node).await?;
    let explain = |cause| explain_store(cause, "cannot start the engine", &node.config);
    match &node.config.temporal {
        None => Engine::start(parts).map_err(explain),
        Some(temporal) => {
            let cluster = Cluster::of(temporal)?;
            let engine = Engine::coordinate(parts, cluster.shared()).map_err(explain)?;
            if works {
                cluster.work(&engine, &node.owner)?;
            }
            Ok(engine)
        }
    }
}

/// Starts what a node needs that only works for a cluster.
pub(crate) async fn start_worker(node: &Node) -> anyhow::Result<Arc<App>> {
    let Some(temporal) = &node.config.temporal else {
        let hint = "set OPENEVENT_TEMPORAL_ADDRESS; without Temporal, `openevent serve` drives runs itself";
        return Err(usage("a worker works for a Temporal cluster, and none is configured", hint));
    };
    if let Location::File(_) = node.store.location() {
        let hint = "set DATABASE_URL to the PostgreSQL database of the servers; beside a SQLite file, `serve` works itself";
        return Err(usage("a worker shares the servers' database, and a SQLite file cannot be shared", hint));
    }
    let cluster = Cluster::of(temporal)?;
    let parts = engine_parts(node).await?;
    let assisting = Engine::assist(parts, cluster.shared());
    let engine = assisting.map_err(|cause| explain_store(cause, "cannot start the worker", &node.config))?;
    let app = start_app(node, engine).await?;
    cluster.work(&app.engine, &node.owner)?;
    Ok(app)
}

async fn engine_parts(node: &Node) -> anyhow::Result<Parts> {
    // Before the first thing that is measured.
    openevent_server::face::telemetry::recorder();
    let explain = |cause| explain_store(cause, "cannot start the engine", &node.config);
    let registry = Registry::open(Arc::clone(&node.store)).await.map_err(explain)?;
    let lookback_ms = node.config.listen_lookback_ms as i64;
    Ok(Parts {
        store: Arc::clone(&node.store),
        registry: Arc::new(registry),
        calls: calls(&node.config),
        clock: Arc::clone(&node.clock),
        chance: Arc::clone(&node.chance),
        owner: node.owner.clone(),
        settings: openevent_engine::Settings {
            lookback_ms,
            processes: node.config.processes.clone(),
            secrets: SecretSettings {
                key_file: Some(node.config.key_file.clone()),
                environment: node.config.secrets.clone(),
            },
            functions: Some(node.config.workflows.join(folder::FUNCTIONS)),
            lifecycle: node.config.lifecycle,
            ..Default::default()
        },
    })
}

async fn start_app(node: &Node, engine: Engine) -> anyhow::Result<Arc<App>> {
    let (store, clock) = (Arc::clone(&node.store), Arc::clone(&node.clock));
    let settings = face_settings(&node.config);
    let started = App::start(store, engine, clock, Arc::clone(&node.chance), settings).await;
    started.map_err(|cause| explain(cause, "cannot start the server", "run `openevent doctor`"))
}

/// Puts the face together and brings the workflows folder in, now and whenever it changes.
pub(crate) async fn start_face(node: &Node, engine: Engine) -> anyhow::Result<Arc<App>> {
    let project = node.default_project().await?.id;
    let (store, clock) = (Arc::clone(&node.store), Arc::clone(&node.clock));
    let workflows = &node.config.workflows;
    let loaded = folder::load(workflows, &store, &engine, &project, clock.now()).await;
    let report = loaded.map_err(|cause| explain_store(cause, "cannot load the workflows", &node.config))?;
    let mut said = String::new();
    report.tell(&mut said);
    let app = start_app(node, engine).await?;
    let keeping = folder::keep(workflows.clone(), Arc::clone(&app), project, said, node.owner.stop.clone());
    node.owner.tasks.spawn(keeping);
    Ok(app)
}

/// Names looked up at one time for deliveries: a name server that is silent for some costs the others nothing.
const LOOKUPS_MAX: usize = 256;

/// Starts sending what is owed to webhooks.
pub(crate) async fn start_delivery(node: &Node, app: &App) -> anyhow::Result<Delivery> {
    let schedule = Schedule::of(node.config.webhooks.retry_ms.clone())
        .map_err(|bad| usage(format!("OPENEVENT_WEBHOOK_RETRY_SCHEDULE: {bad}"), "write fewer of them"))?;
    let parts = openevent_delivery::Parts {
        store: Arc::clone(&node.store),
        client: client(&node.config, Limits { lookups_max: LOOKUPS_MAX, ..Limits::default() }),
        keys: Arc::clone(&app.webhook_keys),
        herald: Arc::new(Teller::new(app.engine.clone(), Arc::clone(&node.chance))),
        clock: Arc::clone(&node.clock),
        chance: Arc::clone(&node.chance),
        owner: node.owner.clone(),
        settings: openevent_delivery::Settings {
            schedule,
            timeout: Duration::from_millis(node.config.webhooks.timeout_ms),
            ..Default::default()
        },
    };
    let started = Delivery::start(parts).await;
    started.map_err(|cause| explain_store(cause, "cannot start sending to webhooks", &node.config))
}

/// What the face has to know of the configuration.
pub(crate) fn face_settings(config: &Config) -> openevent_server::Settings {
    let defaults = openevent_server::Settings::default();
    openevent_server::Settings {
        static_token: config.api_token.clone(),
        development: config.development(),
        static_rate_per_minute: config.static_token_rate_per_minute,
        address_rate_per_hour: config.address_rate_per_hour.unwrap_or(defaults.address_rate_per_hour),
        public_intake_per_hour: config.public_intake_per_hour.unwrap_or(defaults.public_intake_per_hour),
        import_bytes_max: config.import_bytes_max.map_or(defaults.import_bytes_max, u64::from),
        client_address_header: config.client_address_header.clone(),
        public_url: config.public_url.clone(),
        key_file: Some(config.key_file.clone()),
        session_idle_ms_max: config.session_idle_ms as i64,
        session_ms_max: config.session_lifetime_ms as i64,
        bench: config.bench.routes,
        head_ms_max: defaults.head_ms_max,
        drain_ms_max: config.drain_ms,
    }
}

/// The way out: never to a special address, unless the operator allows it or this is development, where the machine itself
/// may be called.
fn client(config: &Config, limits: Limits) -> Client {
    let loopback = if config.development() { Loopback::Allowed } else { Loopback::Refused };
    Client::with_setup(Policy::new(config.egress.allow.clone(), loopback), limits, config.egress.setup())
}

/// How workflows reach the outside.
fn calls(config: &Config) -> Calls {
    match config.bench.calls {
        BenchCalls::Instant => Calls::Instant,
        BenchCalls::Real => Calls::Real(client(config, Limits::default())),
    }
}
