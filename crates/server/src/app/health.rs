//! Whether the server is well.
//!
//! Invariant: answers within [`PATIENCE`], also when the database does not.
//! Not here: readiness of other nodes.

use openevent_engine::Engine;
use openevent_store::Store;
use std::time::Duration;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The state of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Healthy,
    /// The cluster that drives runs is away: all is accepted, and runs go on when it is back.
    ClusterAway,
    /// The database does not answer: nothing is accepted until it does.
    DatabaseAway,
}

/// Asks the database, and what is known of the cluster.
pub async fn look(store: &Store, engine: &Engine) -> Health {
    match tokio::time::timeout(PATIENCE, store.ping()).await {
        Ok(Ok(())) if engine.cluster_trouble().flatten().is_some() => Health::ClusterAway,
        Ok(Ok(())) => Health::Healthy,
        Ok(Err(cause)) => {
            tracing::warn!(cause = %cause, "the database does not answer the health check");
            Health::DatabaseAway
        }
        Err(_elapsed) => Health::DatabaseAway,
    }
}
