//! Where meters ask the store for calls, many with one question.
//!
//! Invariant: a meter is in the queue once; while the store is asked those who come meanwhile gather. Nobody waits longer than
//! [`PATIENCE`] for a store that is away: a caller who would be told 503 anyway is not told 429 instead.
//! Not here: what a meter does with an answer.

use super::meter::Meter;
use openevent_domain::ambient::Millis;
use openevent_domain::rate::Limit;
use openevent_store::Store;
use openevent_store::rates::{Ask, Lent};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Meters one question is for, at most.
const ASKS_MAX: usize = 1_024;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Desk {
    queue: Mutex<Vec<(Arc<Meter>, Limit, Millis)>>,
    rung: Notify,
}

impl Desk {
    pub(super) fn ask(&self, meter: &Arc<Meter>, limit: Limit, now: Millis) {
        self.queue.lock().push((Arc::clone(meter), limit, now));
        self.rung.notify_one();
    }

    /// Asks the store, for ever.
    pub(super) async fn lend(&self, store: &Store) {
        loop {
            self.rung.notified().await;
            loop {
                let next = self.next();
                if next.is_empty() {
                    break;
                }
                answer(store, next).await;
            }
        }
    }

    fn next(&self) -> Vec<(Arc<Meter>, Limit, Ask)> {
        let mut queue = self.queue.lock();
        let first = queue.len().min(ASKS_MAX);
        let asked = |(meter, limit, now): (Arc<Meter>, Limit, Millis)| {
            let ask = meter.ask(limit, now);
            (meter, limit, ask)
        };
        queue.drain(..first).map(asked).collect()
    }
}

async fn answer(store: &Store, asking: Vec<(Arc<Meter>, Limit, Ask)>) {
    let asks = asking.iter().map(|(_, _, ask)| ask.clone()).collect();
    let lent = match tokio::time::timeout(PATIENCE, store.lend_calls(asks)).await {
        Ok(Ok(lent)) => lent,
        Ok(Err(cause)) => {
            tracing::debug!(cause = %cause, "calls could not be leased; this node counts alone");
            Vec::new()
        }
        Err(_elapsed) => {
            tracing::debug!("the database is slow to lease calls; this node counts alone");
            Vec::new()
        }
    };
    let by_subject: HashMap<String, Lent> =
        lent.into_iter().map(|lent| (lent.subject.clone(), lent)).collect();
    for (meter, limit, ask) in asking {
        match by_subject.get(&ask.subject) {
            Some(lent) => meter.lent(lent, limit),
            None => meter.trust(&ask, limit),
        }
    }
}
