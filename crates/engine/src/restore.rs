//! Picking up after a restart: the lease, the runs on disk, the signals that came meanwhile.
//!
//! Invariant: what is restored is the fold of the journal; commands found outstanding are performed again
//! under the same operation numbers.
//! Not here: the turns that follow (see `driver`).

use crate::batch::Batch;
use crate::driver::{Driver, Heard, LOOK_MS, Lost};
use crate::gate::has_gate;
use crate::lifecycle::starts_quietly;
use crate::live::Live;
use crate::past::{Folded, Past};
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::signal::cloud_event;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Command, Fault, FaultKind, Status};
use openevent_store::runs::RunRecord;
use openevent_store::signals::{Filter, Order, Place, SignalRecord};
use openevent_store::{Dialect, Store};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The lease the one engine of many nodes holds.
const LEASE: &str = "engine";
/// How long it lasts; another node takes over within ten seconds.
pub(crate) const LEASE_MS: i64 = 8_000;
/// How often it is renewed.
const RENEW_MS: i64 = 2_000;
/// Runs read at a time.
const PAGE_RUNS: i64 = 1_000;
/// Signals read at a time.
const PAGE_SIGNALS: i64 = 500;

impl Driver {
    /// On SQLite the file's lock has settled who drives; on PostgreSQL a lease does.
    pub(crate) async fn hold_lease(&mut self) -> bool {
        if self.store.dialect() == Dialect::Sqlite {
            return true;
        }
        let now = self.clock.now();
        let held = self.store.lease_take(LEASE, &self.holder, now, LEASE_MS).await;
        if let Ok(true) = held {
            self.lease_renewed_at = now;
        }
        held.unwrap_or(false)
    }

    /// Renews the lease when it is time, and looks for other nodes' work. `false`: it is lost.
    pub(crate) async fn keep_lease(&mut self) -> bool {
        let now = self.clock.now();
        let missed = self.store.wake().take_missed();
        let due = now - self.lease_renewed_at >= RENEW_MS;
        if due {
            self.report();
        }
        let alone = self.store.dialect() == Dialect::Sqlite;
        if due && alone {
            self.lease_renewed_at = now;
        }
        if due && !alone && !self.hold_lease().await && now - self.lease_renewed_at >= LEASE_MS - RENEW_MS {
            return false;
        }
        let moved = self.abroad.as_ref().is_some_and(|abroad| abroad.moved);
        let soon = (self.is_stirred || moved) && now - self.looked_at >= LOOK_MS;
        if !(missed || soon || (due && (!alone || self.abroad.is_some()))) {
            return true;
        }
        (self.looked_at, self.is_stirred) = (now, false);
        self.gathering.look_again();
        // Between the full looks only what is young is asked for.
        let since = (!missed && !due).then(|| RunId::floor(now - 2 * LEASE_MS));
        let abroad = self.abroad.is_some();
        self.take_up_pending(since).await.is_ok()
            && (!abroad || self.look_abroad().await.is_ok())
            && (alone && !missed || self.hear_other_nodes().await)
    }

    pub(crate) async fn give_lease_back(&self) {
        if self.store.dialect() == Dialect::Postgres
            && let Err(cause) = self.store.lease_drop(LEASE, &self.holder).await
        {
            tracing::debug!(error = %cause, "the engine's lease was left to expire");
        }
    }

    /// Signals other nodes took in, or whose notice did not fit into the queue: offered again from a little
    /// before the last look; runs know what they had.
    async fn hear_other_nodes(&mut self) -> bool {
        // Read here: the calls before may have begun runs that listen from later than their caller's time.
        let now = self.clock.now();
        for (tenant, name) in self.listeners.wanted() {
            let mut found = Vec::new();
            let since = now - 2 * LEASE_MS;
            let looked = look_back(&self.store, &tenant, name.as_deref(), since, |records| {
                found.extend(records);
                std::future::ready(true)
            });
            if looked.await.is_err() {
                return false;
            }
            let mut batch = Batch::new(now);
            for record in found {
                let (name, received_at) = (record.name.clone(), record.received_at);
                let heard = Heard { tenant: &tenant, name: &name, received_at };
                self.offer(heard, || event(record), &mut batch);
            }
            if self.settle(batch).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Reads every live run from the store.
    pub(crate) async fn restore(&mut self) -> Result<(), Lost> {
        let began = self.clock.now();
        let mut after: Option<RunId> = None;
        loop {
            let page = self.store.live_runs(after.as_ref(), PAGE_RUNS).await.map_err(|cause| lost(&cause))?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else { break };
            let pasts = crate::past::read_live(&self.store, &first.id, &last.id).await;
            after = Some(last.id.clone());
            self.restore_page(page, pasts.map_err(|cause| lost(&cause))?).await?;
        }
        self.tell_watchers_of_the_ended();
        let took_ms = self.clock.now() - began;
        let left = std::mem::take(&mut self.left_abroad);
        if left > 0 {
            tracing::warn!(
                runs = left,
                "runs are driven by a Temporal cluster, which this server is not told of: they go on there"
            );
        }
        metrics::gauge!("openevent_engine_restore_ms").set(took_ms as f64);
        self.report();
        tracing::info!(runs = self.runs.len(), duration_ms = took_ms, "the engine has its runs");
        Ok(())
    }

    async fn restore_page(&mut self, page: Vec<RunRecord>, pasts: Vec<Past>) -> Result<(), Lost> {
        let mut by_run: HashMap<RunId, Past> =
            pasts.into_iter().map(|past| (past.run_id.clone(), past)).collect();
        let mut batch = Batch::new(self.clock.now());
        for record in page {
            let past = by_run.remove(&record.id).unwrap_or_else(|| Past::none(&record.id));
            self.restore_run(record, past, &mut batch).await?;
        }
        self.settle(batch).await
    }

    /// Begins a run that has taken in nothing but its start; answers what it asks for.
    fn start_again(&mut self, handle: u64, record: &RunRecord, batch: &mut Batch) -> Vec<Command> {
        let (at, started) = (record.first_at(), crate::past::started(record));
        let told = if self.is_heard() { self.told_step(handle, at, &started, batch) } else { None };
        let Some(live) = self.runs.get_mut(&handle) else { return Vec::new() };
        told.unwrap_or_else(|| live.run.apply(&live.definition, at, started)).commands
    }

    /// What a run has behind it.
    pub(crate) async fn past(&self, run: &RunId) -> Result<Past, Lost> {
        crate::past::read(&self.store, run).await.map_err(|cause| lost(&cause))
    }

    pub(crate) async fn restore_run(
        &mut self,
        record: RunRecord,
        past: Past,
        batch: &mut Batch,
    ) -> Result<(), Lost> {
        if self.by_id.contains_key(&record.id) {
            return Ok(());
        }
        if record.handed_at.is_some() {
            // A cluster drives it, though this node knows of none.
            self.left_abroad += 1;
            return Ok(());
        }
        if past.is_empty() && self.has_ended_meanwhile(&record).await? {
            return Ok(());
        }
        let kept = (record.definition_hash.as_str(), record.semantics);
        let Some(definition) = self.definition(&record.id, kept).await? else { return Ok(()) };
        if has_gate(&definition) && record.begun_at.is_none() {
            return self.enter_gate(record.into(), definition, batch).await;
        }
        let mut live = Live::new(record.id.clone(), record.tenant.clone(), Arc::clone(&definition));
        live.inside = self.rejoin_gate(&record, &definition, batch.now).await?.map(Box::new);
        live.marked = status(&record.status);
        live.taken_up = true;
        live.parent.clone_from(&record.parent);
        live.quiet = record.parent.as_ref().is_some_and(|parent| parent.quiet)
            || (record.by_events && starts_quietly(&record.input));
        let is_new = past.is_empty();
        let folded = if is_new { Ok(Folded::default()) } else { past.fold(&record, &live.definition) };
        let is_damaged = folded.is_err();
        let mut last = folded.map(|folded| live.resume(folded)).unwrap_or_default();
        let handle = self.adopt(live);
        if is_new {
            // Nothing shows whether anybody was told of its beginning: twice is better than never.
            last = self.start_again(handle, &record, batch);
        }
        let Some(live) = self.runs.get(&handle) else { return Ok(()) };
        let outstanding = live.run.outstanding(&live.definition);
        let (finished, phase_changed) = (live.run.is_finished(), live.run.status() != live.marked);
        if is_damaged {
            self.give_up(handle, Fault::new(FaultKind::Runtime, "the run's journal is damaged"), batch);
            return Ok(());
        }
        let mut inputs = VecDeque::new();
        let commands = if finished {
            last.into_iter().filter(|command| matches!(command, Command::Finish(_))).collect()
        } else {
            outstanding
        };
        for command in commands {
            match command {
                Command::Child { op, child } => {
                    self.find_child(handle, op, child, &mut inputs, batch).await?;
                }
                other => self.take_command(handle, other, &mut inputs, batch),
            }
        }
        self.feed(handle, inputs, batch);
        if !finished
            && phase_changed
            && let Some(live) = self.runs.get_mut(&handle)
        {
            batch.mark(live);
        }
        Ok(())
    }
}

impl Driver {
    /// Whether a run that had not begun when it was read has been driven to its end since, as one may be that was made
    /// while others are restored.
    async fn has_ended_meanwhile(&self, record: &RunRecord) -> Result<bool, Lost> {
        let now = self.store.run(&record.tenant, &record.id).await.map_err(|cause| lost(&cause))?;
        Ok(now.is_none_or(|run| run.ended_at.is_some()))
    }
}

pub(crate) fn lost(cause: &openevent_store::Error) -> Lost {
    tracing::warn!(error = %cause, "the engine cannot read its runs");
    Lost
}

fn status(word: &str) -> Status {
    let all = [
        Status::Running,
        Status::Waiting,
        Status::Suspended,
        Status::Cancelled,
        Status::Faulted,
        Status::Completed,
    ];
    all.into_iter().find(|status| status.as_str() == word).unwrap_or_default()
}

/// Reads a tenant's signals since a time, oldest first, and hands them over in pages until told to stop.
/// `Err`: the store could not be read to the end.
pub(crate) async fn look_back<F>(
    store: &Store,
    tenant: &Tenant,
    name: Option<&str>,
    since: Millis,
    mut hand_over: impl FnMut(Vec<SignalRecord>) -> F,
) -> Result<(), Lost>
where
    F: Future<Output = bool>,
{
    let filter = Filter { name: name.map(str::to_owned), from: Some(since), ..Filter::default() };
    let mut place = Place::Offset(0);
    loop {
        let page = match store.signals(tenant, &filter, Order::OldestFirst, place, PAGE_SIGNALS).await {
            Ok(page) => page,
            Err(cause) => {
                tracing::warn!(error = %cause, "a look back at earlier signals failed");
                return Err(Lost);
            }
        };
        let Some(last) = page.last() else { return Ok(()) };
        place = Place::After(last.received_at, last.seq);
        let full = page.len() as i64 == PAGE_SIGNALS;
        if !hand_over(page).await || !full {
            return Ok(());
        }
    }
}

/// A stored signal as runs see it.
pub(crate) fn event(record: SignalRecord) -> Value {
    cloud_event(record.id.as_str(), &record.name, record.payload, &record.attributes, record.received_at)
}
