//! Background care of the data: what is older than the retention goes, and so do forgotten answers.
//!
//! Invariant: a round takes no input but the time, may be repeated at any moment on any number of nodes, and
//! removes rows in bites, so that ingest never waits long behind one.
//! Not here: the statements (`store::maintenance`); what the server and the engine care for themselves.

use crate::node::Node;
use openevent_domain::ambient::{Clock, Millis};
use openevent_store::planning::segments::SEGMENTS_MAX;
use openevent_store::{Error, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Between two rounds.
const ROUND: Duration = Duration::from_mins(1);
/// Between two looks at the search index's segments.
const MERGED_EVERY_MS: Millis = 86_400_000;
/// Bites of one kind in one round; what is left waits for the next.
const BITES_MAX: usize = 1_000;

/// Starts the rounds; they end with the node.
pub(crate) fn start(node: &Node) {
    let (store, clock) = (Arc::clone(&node.store), Arc::clone(&node.clock));
    let rounds = rounds(store, clock, node.config.retention_ms);
    node.owner.tasks.spawn(node.owner.stop.clone().run_until_cancelled_owned(rounds));
}

async fn rounds(store: Arc<Store>, clock: Arc<dyn Clock>, retention_ms: Option<u64>) {
    let mut beat = tokio::time::interval(ROUND);
    let mut merged_at = clock.now();
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if let Err(cause) = round(&store, clock.now(), retention_ms).await {
            tracing::warn!(
                error = &cause as &dyn std::error::Error,
                "old data could not be removed; the next round tries again"
            );
        }
        if clock.now() - merged_at >= MERGED_EVERY_MS {
            merged_at = clock.now();
            if let Err(cause) = merge(&store).await {
                tracing::warn!(
                    error = &cause as &dyn std::error::Error,
                    "the search index could not be merged"
                );
            }
        }
    }
}

/// Merges the search index where it has come to lie in many segments.
async fn merge(store: &Store) -> Result<(), Error> {
    if store.search_segments().await? > SEGMENTS_MAX {
        while store.merge_search().await? {}
    }
    Ok(())
}

async fn round(store: &Store, now: Millis, retention_ms: Option<u64>) -> Result<(), Error> {
    store.forget(now).await?;
    let Some(retention_ms) = retention_ms else { return Ok(()) };
    let before = now - retention_ms as Millis;
    // Before the signals they carry.
    for _ in 0..BITES_MAX {
        if !store.retire_deliveries(before).await? {
            break;
        }
    }
    for _ in 0..BITES_MAX {
        if !store.retire_signals(before).await? {
            break;
        }
    }
    for _ in 0..BITES_MAX {
        if !store.retire_runs(before).await? {
            break;
        }
    }
    for _ in 0..BITES_MAX {
        if !store.retire_audits(before).await? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SystemChance;
    use crate::config::{Config, Environment, Flag};
    use openevent_domain::id::SignalId;
    use openevent_domain::signal::Attributes;
    use openevent_domain::tenant::{Environment as DataSet, Tenant};
    use openevent_store::{NewSignal, WriteSet};

    const DAY_MS: i64 = 86_400_000;

    async fn signal(node: &Node, tenant: &Tenant, at: Millis) -> SignalId {
        let id = SignalId::mint(at, &SystemChance);
        let signal = NewSignal {
            id: id.clone(),
            tenant: tenant.clone(),
            name: "order.created".to_owned(),
            payload: "{}".to_owned(),
            attributes: Attributes::default(),
            received_at: at,
            replay_of: None,
            triggers: Vec::new(),
        };
        let mut set = WriteSet::new();
        set.add_signal(Arc::new(signal));
        node.store.submit(set).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_round_removes_what_is_older_than_the_retention_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let value = dir.path().to_str().unwrap().to_owned();
        let flag = Flag { name: "--data-dir", key: "data_dir", value };
        let config = Config::load(None, &Environment::default(), vec![flag]).unwrap();
        let node = Node::open(config).await.unwrap();
        let tenant = Tenant::of(&node.default_project().await.unwrap().id, DataSet::Live);
        let now = node.clock.now();
        let old = signal(&node, &tenant, now - 31 * DAY_MS).await;
        let young = signal(&node, &tenant, now - 29 * DAY_MS).await;

        round(&node.store, now, None).await.unwrap();
        assert!(node.store.signal(&tenant, &old).await.unwrap().is_some());
        round(&node.store, now, Some(30 * DAY_MS as u64)).await.unwrap();

        assert!(node.store.signal(&tenant, &old).await.unwrap().is_none());
        assert!(node.store.signal(&tenant, &young).await.unwrap().is_some());
        assert!(node.close().await);
    }
}
