//! The end of a turn: the commit, what follows it, and who is told of an end.
//!
//! Invariant: nothing is performed or told before the commit; when a commit is refused nothing in memory counts.
//! Not here: what a turn takes in (`driver`), the rows (`batch`).

use crate::batch::{Batch, Ended};
use crate::driver::{Driver, Lost, PAUSE_MS_MAX};
use crate::handle::Message;
use openevent_domain::id::RunId;
use openevent_flow::Status;
use std::time::Duration;

/// How long a phase that no journal entry carries may wait before it is written.
pub(crate) const MARK_AFTER_MS: i64 = 50;
/// The same while answers are waiting, which may end the run and spare the row.
const MARK_AFTER_BUSY_MS: i64 = 500;

impl Driver {
    pub(crate) fn note_phase(&mut self, handle: u64, batch: &Batch) {
        let Some(live) = self.runs.get(&handle) else { return };
        if !live.run.is_finished() && live.run.status() != live.marked {
            if self.dirty.is_empty() {
                self.dirty_since = batch.now;
            }
            self.dirty.push(handle);
        }
    }

    /// Writes phases that have lasted: most runs end before theirs is worth a row.
    pub(crate) fn mark_dirty(&mut self, batch: &mut Batch) {
        let pause_ms = if self.inbox.is_empty() { MARK_AFTER_MS } else { MARK_AFTER_BUSY_MS };
        if self.dirty.is_empty() || batch.now < self.dirty_since + pause_ms {
            return;
        }
        for handle in std::mem::take(&mut self.dirty) {
            if let Some(live) = self.runs.get_mut(&handle)
                && !live.run.is_finished()
                && live.run.status() != live.marked
            {
                batch.mark(live);
            }
        }
    }

    /// Commits a turn and performs what follows from it.
    pub(crate) async fn settle(&mut self, mut batch: Batch) -> Result<(), Lost> {
        self.commit(&batch).await?;
        for (reply, changed) in batch.replies.drain(..) {
            let _ = reply.send(changed);
        }
        for ended in std::mem::take(&mut batch.ended) {
            self.bury(&ended);
        }
        for (run, _) in batch.turned_away.drain(..) {
            self.tell_watchers(&run);
            // Its notice may still wait.
            self.ended_untold.insert(run);
        }
        for (path, hash, at) in batch.after.drain(..) {
            self.clockwork.after(&path, &hash, at);
        }
        if let Some(abroad) = &self.abroad {
            abroad.courier.hand_over(std::mem::take(&mut batch.handed));
        }
        for handle in std::mem::take(&mut batch.long) {
            self.compact(handle);
        }
        for (handle, command) in std::mem::take(&mut batch.effects) {
            self.perform(handle, command);
        }
        Ok(())
    }

    async fn commit(&self, batch: &Batch) -> Result<(), Lost> {
        let mut pause_ms = 50;
        loop {
            match self.store.submit(batch.to_set()).await {
                Ok(()) => return Ok(()),
                Err(cause) if cause.is_unavailable() => {
                    tracing::warn!(error = %cause, "the engine waits for the database");
                    let pause = tokio::time::sleep(Duration::from_millis(pause_ms));
                    self.owner.stop.run_until_cancelled(pause).await.ok_or(Lost)?;
                    pause_ms = (pause_ms * 2).min(PAUSE_MS_MAX);
                }
                Err(cause) => {
                    // Another engine wrote in our place, or an unanswered commit was there after all.
                    tracing::warn!(error = %cause, "the engine's turn was refused");
                    return Err(Lost);
                }
            }
        }
    }

    fn bury(&mut self, ended: &Ended) {
        let Ended { handle, run, status, .. } = ended;
        if let Some(live) = self.runs.remove(handle) {
            self.listeners.remove(&live.tenant, *handle);
            if live.taken_up {
                self.ended_untold.insert(run.clone());
            }
        }
        self.by_id.remove(run);
        self.tell_watchers(run);
        metrics::counter!("openevent_runs_finished_total", "status" => status.as_str()).increment(1);
    }

    pub(crate) fn tell_watchers(&mut self, run: &RunId) {
        for watcher in self.watchers.remove(run).unwrap_or_default() {
            let _ = watcher.send(());
        }
    }

    /// A run that was live and is not any more has ended on disk: the answer to that commit was lost.
    pub(crate) fn tell_watchers_of_the_ended(&mut self) {
        for run in std::mem::take(&mut self.unsure) {
            if !self.by_id.contains_key(&run) {
                self.tell_watchers(&run);
            }
        }
    }

    pub(crate) fn forget_everything(&mut self) {
        self.unsure.extend(self.watchers.keys().filter(|run| self.by_id.contains_key(run)).cloned());
        self.runs.clear();
        self.by_id.clear();
        self.timers.clear();
        self.listeners.clear();
        self.gates.clear();
        if let Some(abroad) = &mut self.abroad {
            abroad.clear();
        }
        self.clockwork.forget();
        self.gathering.look_again();
        self.dirty.clear();
        self.drop_messages();
    }

    /// Drops what was meant for the memory there was. Who watches a run goes on watching.
    pub(crate) fn drop_messages(&mut self) {
        for message in self.inbox.drain() {
            if let Message::Watch { run, ended } = message {
                self.watchers.entry(run).or_default().push(ended);
            }
        }
        self.forget_idle_watchers();
    }

    fn forget_idle_watchers(&mut self) {
        self.watchers.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.is_closed());
            !watchers.is_empty()
        });
    }

    /// Says how many runs are live, and forgets who no longer waits: watchers here, the engine for signals.
    pub(crate) fn report(&mut self) {
        self.forget_idle_watchers();
        self.store.wake().want_signals(!self.listeners.is_empty());
        let waiting = self.runs.values().filter(|live| live.run.status() == Status::Waiting).count();
        metrics::gauge!("openevent_engine_runs_live").set(self.runs.len() as f64);
        metrics::gauge!("openevent_engine_runs_waiting").set(waiting as f64);
        if let Some(abroad) = &self.abroad {
            let backlog = abroad.courier.backlog();
            let age_ms = backlog.since.map_or(0, |since| (self.clock.now() - since).max(0));
            metrics::gauge!("openevent_cluster_backlog_runs").set(backlog.runs as f64);
            metrics::gauge!("openevent_cluster_backlog_news").set(backlog.news as f64);
            metrics::gauge!("openevent_cluster_backlog_age_seconds").set(age_ms as f64 / 1_000.0);
        }
    }
}
