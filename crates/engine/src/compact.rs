//! Keeping journals short: a snapshot takes the place of what a long run has behind it.
//!
//! Invariant: a snapshot is the fold of the very entries it replaces, made from what is on disk, never from memory;
//! so it may be made at any time by anybody, and be lost without harm.
//! Not here: when a journal is long (`live`), the rows (`store::snapshots`).

use crate::driver::Driver;
use crate::handle::Message;
use crate::past::{self, Damaged};
use openevent_domain::id::RunId;
use openevent_flow::Definition;
use openevent_store::snapshots::Snapshot;
use openevent_store::{Error, Store, WriteSet};
use std::sync::Arc;

/// Why a journal stayed as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Uncompacted {
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error("the run, or what folds it, is gone")]
    Gone,
}

impl Driver {
    /// Sets out to shorten a run's journal up to its last entry, which is on disk.
    pub(crate) fn compact(&mut self, handle: u64) {
        let Some(live) = self.runs.get(&handle) else { return };
        let (run, seq, definition) = (live.id.clone(), live.seq, Arc::clone(&live.definition));
        let (store, outbox) = (Arc::clone(&self.store), self.outbox.clone());
        let work = async move {
            let done = compact(&store, &run, seq, definition).await;
            if let Err(cause) = &done {
                tracing::debug!(run.id = %run, error = %cause, "a journal was not made shorter; later");
            }
            let compacted = done.is_ok().then_some(seq);
            let _ = outbox.send_async(Message::Compacted { handle, compacted }).await;
        };
        self.owner.tasks.spawn(self.owner.stop.clone().run_until_cancelled_owned(work));
    }

    pub(crate) fn compacted(&mut self, handle: u64, compacted: Option<i64>) {
        let Some(live) = self.runs.get_mut(&handle) else { return };
        live.compacting = false;
        live.compacted = compacted.unwrap_or(live.compacted);
    }
}

pub(crate) async fn compact(
    store: &Store,
    run: &RunId,
    seq: i64,
    definition: Arc<Definition>,
) -> Result<(), Uncompacted> {
    let record = store.any_run(run).await?.ok_or(Uncompacted::Gone)?;
    let past = past::read(store, run).await?;
    // Folding evaluates expressions: not on a thread that serves others.
    let folding = move || {
        let chronicle = past.chronicle_upto(&record, &definition, seq)?;
        serde_json::to_string(&chronicle).map_err(|_| Damaged)
    };
    let state = tokio::task::spawn_blocking(folding).await.map_err(|_| Uncompacted::Gone)??;
    let mut set = WriteSet::new();
    set.put_snapshot(&Snapshot { run_id: run.clone(), seq, state });
    Ok(store.submit(set).await?)
}
