//! The driver's part while runs are driven elsewhere: it decides who begins and who is offered what, and sends word.
//!
//! Invariant: gates, schedules and gathered events stay here, one coordinator at a time; everything it has to know is on
//! disk, so that another takes over where it stopped. A signal is offered to whoever listens at least once.
//! Not here: carrying (`courier`), what nodes do for runs (`desk`).

use super::{Courier, Handover};
use crate::batch::Batch;
use crate::children::answer_of;
use crate::driver::{Driver, Heard, Lost, TURN_MAX};
use crate::gate::has_gate;
use crate::gating::Inside;
use crate::restore::{LEASE_MS, event, look_back, lost};
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_flow::Input;
use openevent_store::WriteSet;
use openevent_store::handover::{ListenRecord, ListenState};
use openevent_store::runs::RunRecord;
use openevent_store::signals::SignalRecord;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Rows read at a time.
const PAGE: i64 = 1_000;
/// How far back signals are looked at again: longer than a signal can take from its time to being seen.
const OVERLAP_MS: i64 = 2 * LEASE_MS;
/// Runs asked for at a time.
const INSIDE_MAX: usize = 500;
/// Under which name the store keeps how far signals were offered.
const OFFERED: &str = "signals offered to runs driven elsewhere";

/// What the driver knows of runs that are driven elsewhere.
#[derive(Debug)]
pub(crate) struct Abroad {
    pub(crate) courier: Arc<Courier>,
    /// Who listens, by handle.
    listening: BTreeMap<u64, ListenRecord>,
    by_op: HashMap<(RunId, u64), u64>,
    /// Runs that gates let in.
    inside: BTreeMap<RunId, Inside>,
    /// What was offered lately, and when that came.
    offered: HashMap<(u64, String), Millis>,
    /// Whether runs ended, or listen to something else than before.
    pub(crate) moved: bool,
}

impl Abroad {
    pub(crate) fn new(courier: Arc<Courier>) -> Self {
        Self {
            courier,
            listening: BTreeMap::new(),
            by_op: HashMap::new(),
            inside: BTreeMap::new(),
            offered: HashMap::new(),
            moved: false,
        }
    }

    /// Forgets what can be read again. What the courier has goes on its way.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(Arc::clone(&self.courier));
    }

    /// Whether a run has been let in or sent off and is not to begin again.
    pub(crate) fn has(&self, run: &RunId) -> bool {
        self.inside.contains_key(run) || self.courier.holds(run)
    }

    pub(crate) fn let_in(&mut self, run: RunId, inside: Inside) {
        self.inside.insert(run, inside);
    }

    /// Offers a signal to a listener, once.
    pub(crate) fn offer(&mut self, handle: u64, received_at: Millis, event: &Value) {
        let Some(listen) = self.listening.get(&handle).filter(|listen| received_at >= listen.since) else {
            return;
        };
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        if self.offered.insert((handle, id), received_at).is_none() {
            let input = Input::Signal { event: event.clone() };
            self.courier.tell_execution(listen.run.clone(), &listen.execution, input);
        }
    }
}

impl Driver {
    /// Finds everything that has to be known while runs are driven elsewhere.
    pub(crate) async fn restore_abroad(&mut self) -> Result<(), Lost> {
        let mut after: Option<RunId> = None;
        loop {
            let page = self.store.live_runs(after.as_ref(), PAGE).await.map_err(|cause| lost(&cause))?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            let mut batch = Batch::new(self.clock.now());
            for record in page {
                self.send_off(record, &mut batch).await?;
            }
            self.settle(batch).await?;
        }
        self.hear_those_who_listen().await?;
        self.answer_those_who_wait().await
    }

    /// Hands a run over that is not driven anywhere yet, through its gate if it has one.
    pub(crate) async fn send_off(&mut self, record: RunRecord, batch: &mut Batch) -> Result<(), Lost> {
        if self.abroad.as_ref().is_some_and(|abroad| abroad.has(&record.id)) {
            return Ok(());
        }
        let kept = (record.definition_hash.as_str(), record.semantics);
        let Some(definition) = self.definition(&record.id, kept).await? else { return Ok(()) };
        if has_gate(&definition) {
            if record.begun_at.is_none() {
                return self.enter_gate(record.into(), definition, batch).await;
            }
            if let (Some(inside), Some(abroad)) =
                (self.rejoin_gate(&record, &definition, batch.now).await?, &mut self.abroad)
            {
                abroad.let_in(record.id.clone(), inside);
            }
        }
        if record.handed_at.is_none() {
            batch.handed.push(Handover::of(&record));
        }
        Ok(())
    }

    /// Runs that other nodes started, or whose notice did not fit into the queue.
    pub(crate) async fn send_off_new(&mut self, since: Option<RunId>) -> Result<(), Lost> {
        let mut after = since;
        loop {
            let read = self.store.unhanded_runs(after.as_ref(), TURN_MAX as i64).await;
            let page = read.map_err(|cause| lost(&cause))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            let mut batch = Batch::new(self.clock.now());
            for record in page {
                self.send_off(record, &mut batch).await?;
            }
            self.settle(batch).await?;
        }
    }

    /// Takes in what changed elsewhere: who listens, who ended.
    pub(crate) async fn look_abroad(&mut self) -> Result<(), Lost> {
        if let Some(abroad) = &mut self.abroad {
            abroad.moved = false;
        }
        self.take_in_listens().await?;
        self.let_out().await?;
        self.clockwork.look_again();
        self.note_offered().await
    }

    /// Listens that began are offered what they may have missed; those that are over are forgotten.
    async fn take_in_listens(&mut self) -> Result<(), Lost> {
        loop {
            let news = self.store.listens_news(PAGE).await.map_err(|cause| lost(&cause))?;
            let is_last = (news.len() as i64) < PAGE;
            let mut set = WriteSet::new();
            let mut begun = Vec::new();
            for listen in news {
                self.unhear(&listen);
                if listen.state == ListenState::Over {
                    set.forget_listen(&listen.run, listen.op);
                } else {
                    set.hear(&listen.run, listen.op);
                    begun.push(self.hear(listen));
                }
            }
            self.look_back_for(&begun, None).await?;
            if !set.is_empty() {
                self.store.submit(set).await.map_err(|cause| lost(&cause))?;
            }
            if is_last {
                self.store.wake().want_signals(!self.listeners.is_empty());
                return Ok(());
            }
        }
    }

    fn hear(&mut self, listen: ListenRecord) -> u64 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.listeners.add(&listen.tenant, handle, listen.op, &listen.names);
        // Before the look back: what is committed in between is told.
        self.store.wake().want_signals(true);
        if let Some(abroad) = &mut self.abroad {
            abroad.by_op.insert((listen.run.clone(), listen.op), handle);
            abroad.listening.insert(handle, listen);
        }
        handle
    }

    fn unhear(&mut self, listen: &ListenRecord) {
        let Some(abroad) = &mut self.abroad else { return };
        if let Some(handle) = abroad.by_op.remove(&(listen.run.clone(), listen.op)) {
            abroad.listening.remove(&handle);
            self.listeners.remove(&listen.tenant, handle);
        }
    }

    /// After a start: everybody who listens, offered what came since signals were last known to be offered.
    async fn hear_those_who_listen(&mut self) -> Result<(), Lost> {
        let known = self.store.progress(OFFERED).await.map_err(|cause| lost(&cause))?;
        let mut after: Option<(RunId, u64)> = None;
        loop {
            let from = after.as_ref().map(|(run, op)| (run, *op));
            let page = self.store.listens(from, PAGE).await.map_err(|cause| lost(&cause))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.run.clone(), last.op));
            let heard = page.into_iter().filter(|listen| listen.state == ListenState::Heard);
            let handles: Vec<u64> = heard.map(|listen| self.hear(listen)).collect();
            self.look_back_for(&handles, known).await?;
        }
    }

    /// Offers stored signals to some who listen: from where each begins to listen, or from `known` where that is later.
    async fn look_back_for(&mut self, handles: &[u64], known: Option<Millis>) -> Result<(), Lost> {
        let Some(abroad) = &self.abroad else { return Ok(()) };
        let mut wanted: BTreeMap<(Tenant, Option<String>), (Millis, Vec<u64>)> = BTreeMap::new();
        for (handle, listen) in handles.iter().filter_map(|handle| abroad.listening.get_key_value(handle)) {
            let since = known.map_or(listen.since, |known| known.max(listen.since));
            for name in &listen.names {
                let entry = wanted.entry((listen.tenant.clone(), name.clone()));
                let (from, who) = entry.or_insert_with(|| (since, Vec::new()));
                *from = since.min(*from);
                who.push(*handle);
            }
        }
        for ((tenant, name), (since, who)) in wanted {
            let mut found: Vec<SignalRecord> = Vec::new();
            let looked = look_back(&self.store, &tenant, name.as_deref(), since, |records| {
                found.extend(records);
                std::future::ready(true)
            });
            looked.await?;
            let Some(abroad) = &mut self.abroad else { return Ok(()) };
            for record in found {
                let received_at = record.received_at;
                let event = event(record);
                for handle in &who {
                    abroad.offer(*handle, received_at, &event);
                }
            }
        }
        Ok(())
    }

    /// Offers a signal that has just come.
    pub(crate) fn offer_abroad(&mut self, heard: Heard<'_>, event: impl FnOnce() -> Value) {
        let handles = self.listeners.of(heard.tenant, heard.name);
        if let (Some(abroad), false) = (&mut self.abroad, handles.is_empty()) {
            let event = event();
            for handle in handles {
                abroad.offer(handle, heard.received_at, &event);
            }
        }
    }

    /// Runs that have ended make room where a gate let them in, and whoever watches them is told.
    async fn let_out(&mut self) -> Result<(), Lost> {
        let Some(abroad) = &self.abroad else { return Ok(()) };
        let watched = self.watchers.keys().filter(|run| !abroad.inside.contains_key(run));
        let wanted: Vec<RunId> = abroad.inside.keys().chain(watched).cloned().collect();
        for runs in wanted.chunks(INSIDE_MAX) {
            let names: Vec<&str> = runs.iter().map(RunId::as_str).collect();
            let ended = self.store.ended_among(&names).await.map_err(|cause| lost(&cause))?;
            for run in ended {
                let left = self.abroad.as_mut().and_then(|abroad| abroad.inside.remove(&run));
                if let Some(inside) = left {
                    self.gates.leave(&run, &inside);
                }
                self.tell_watchers(&run);
            }
        }
        Ok(())
    }

    /// Runs that were turned away while the one that waits for them was not told.
    async fn answer_those_who_wait(&mut self) -> Result<(), Lost> {
        let turned_away = self.store.turned_away_children().await.map_err(|cause| lost(&cause))?;
        let Some(abroad) = &self.abroad else { return Ok(()) };
        for child in turned_away {
            if let Some(parent) = child.parent.clone() {
                abroad.courier.tell(parent.run, answer_of(parent.op, child));
            }
        }
        Ok(())
    }

    /// Notes how far signals were offered, once the cluster has taken all of them.
    async fn note_offered(&mut self) -> Result<(), Lost> {
        let until = self.clock.now() - OVERLAP_MS;
        let Some(abroad) = &mut self.abroad else { return Ok(()) };
        abroad.offered.retain(|_, received_at| *received_at >= until - OVERLAP_MS);
        if abroad.listening.is_empty() || abroad.courier.backlog().news > 0 || until <= self.offered_at {
            return Ok(());
        }
        self.offered_at = until + LEASE_MS / 4;
        let mut set = WriteSet::new();
        set.note_progress(OFFERED, until);
        self.store.submit(set).await.map_err(|cause| lost(&cause))
    }
}
