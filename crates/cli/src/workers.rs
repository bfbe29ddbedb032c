//! What runs beside the server face: the registry of workflows and the embedded engine.
//!
//! Invariant: everything started here belongs to the node's owner and ends with it.
//! Not here: the engine itself; HTTP.

use crate::config::{BenchCalls, Config};
use crate::node::{Node, explain_store};
use openevent_egress::{Client, Limits, Loopback, Policy};
use openevent_engine::{Calls, Engine, Parts, Registry, Settings};
use std::sync::Arc;

/// Starts the embedded engine on the node's store.
pub(crate) async fn start_engine(node: &Node) -> anyhow::Result<Engine> {
    let explain = |cause| explain_store(cause, "cannot start the engine", &node.config);
    let registry = Registry::open(Arc::clone(&node.store)).await.map_err(explain)?;
    let settings = Settings { lookback_ms: node.config.listen_lookback_ms as i64, ..Settings::default() };
    let parts = Parts {
        store: Arc::clone(&node.store),
        registry: Arc::new(registry),
        calls: calls(&node.config),
        clock: Arc::clone(&node.clock),
        chance: Arc::clone(&node.chance),
        owner: node.owner.clone(),
        settings,
    };
    Engine::start(parts).map_err(explain)
}

/// How workflows reach the outside: never a special address, unless the operator allows it or this is
/// development, where the machine itself may be called.
fn calls(config: &Config) -> Calls {
    let loopback = if config.development() { Loopback::Allowed } else { Loopback::Refused };
    match config.bench.calls {
        BenchCalls::Instant => Calls::Instant,
        BenchCalls::Real => {
            Calls::Real(Client::new(Policy::new(config.egress_allow.clone(), loopback), Limits::default()))
        }
    }
}
