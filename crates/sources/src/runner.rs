//! Keeping a source read: one task each, that holds the lease, connects, reads, and begins again.
//!
//! Invariant: ends with its owner's token, after the batch in hand; whatever fails is tried again after a pause that
//! grows until the source has been read once more.
//! Not here: what reading is.

use crate::desk::Desk;
use crate::error::Error;
use crate::lease::{LEASE, Lease, RENEWAL};
use crate::pause::Pause;
use crate::sink::Sink;
use crate::source::Source;
use openevent_domain::ambient::{Chance, Clock};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all sources of a process share.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Who may read.
    pub lease: Arc<dyn Lease>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// Who owns the tasks.
    pub tasks: TaskTracker,
    /// When they end.
    pub stop: CancellationToken,
}

/// Has a source read from now on.
pub fn start(source: Source, sink: Arc<dyn Sink>, parts: &Parts) {
    let Parts { lease, clock, chance, tasks, stop } = parts.clone();
    let desk = Desk::new(&source.name, sink, clock, chance);
    tasks.spawn(Runner { source, desk, lease, stop }.run());
}

struct Runner {
    source: Source,
    desk: Desk,
    lease: Arc<dyn Lease>,
    stop: CancellationToken,
}

impl Runner {
    async fn run(self) {
        let name = self.source.name.as_str();
        let mut pause = Pause::default();
        while let Some(is_held) = self.stop.run_until_cancelled(self.lease.take(name)).await {
            if !is_held {
                self.rest(RENEWAL).await;
                continue;
            }
            let Err(cause) = self.round().await else { continue };
            if self.desk.was_connected() {
                pause = Pause::default();
            }
            let wait = pause.next();
            tracing::warn!(
                source.name = name,
                error = &cause as &dyn std::error::Error,
                again_ms = wait.as_millis() as u64,
                "a source is not read"
            );
            self.rest(wait).await;
        }
        self.lease.give_back(name).await;
    }

    /// Reads as long as nothing fails, the lease is held and nobody says stop.
    async fn round(&self) -> Result<(), Error> {
        let round = self.stop.child_token();
        let reading = async {
            let end = self.source.read(&self.desk, &round).await;
            round.cancel();
            end
        };
        let (end, ()) = tokio::join!(reading, self.renew(&round));
        end
    }

    async fn renew(&self, round: &CancellationToken) {
        let mut renewed_at = Instant::now();
        while round.run_until_cancelled(tokio::time::sleep(RENEWAL)).await.is_some() {
            if self.lease.take(&self.source.name).await {
                renewed_at = Instant::now();
            } else if renewed_at.elapsed() >= LEASE.saturating_sub(RENEWAL) {
                tracing::info!(source.name = self.source.name, "another node reads the source");
                round.cancel();
            }
        }
    }

    async fn rest(&self, pause: Duration) {
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}
