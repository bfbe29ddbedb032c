//! The embedded driver: one thread that takes in what happened, writes it down, then does what follows.
//!
//! Invariant: a turn is gather → apply → commit → perform. Whatever fails in between leaves the disk as the
//! truth: the driver forgets its memory and reads it again.
//! Not here: restoring (`restore`), what follows a commit (`perform`), emitting (`emit`), the rows (`batch`).

use crate::actions::Outside;
use crate::batch::{Batch, Ended};
use crate::emit::emit;
use crate::handle::{Message, Parts, Settings};
use crate::listeners::Listeners;
use crate::live::{Beginning, Live};
use crate::registry::Registry;
use crate::spine::Spine;
use crate::timers::Timers;
use openevent_domain::ambient::{Clock, Millis};
use openevent_domain::id::RunId;
use openevent_domain::signal::cloud_event;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Command, Definition, Fault, Input, Outcome, Status};
use openevent_store::{NewSignal, Notice, Owner, Store};
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Inputs one turn takes in at most, of each kind.
const TURN_MAX: usize = 2_048;
/// How long a phase that no journal entry carries may wait before it is written.
const MARK_AFTER_MS: i64 = 50;
/// The same while answers are waiting, which may end the run and spare the row.
const MARK_AFTER_BUSY_MS: i64 = 500;
/// The longest sleep.
const TICK_MS: i64 = 1_000;
/// The longest pause between attempts to write while the database is away.
pub(crate) const PAUSE_MS_MAX: u64 = 1_000;

/// The driver; see the module.
pub(crate) struct Driver {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) owner: Owner,
    pub(crate) settings: Settings,
    pub(crate) holder: String,
    pub(crate) runs: HashMap<u64, Live>,
    pub(crate) by_id: HashMap<RunId, u64>,
    pub(crate) lease_renewed_at: Millis,
    pub(crate) spine: Spine,
    pub(crate) outside: Arc<Outside>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) outbox: flume::Sender<Message>,
    inbox: flume::Receiver<Message>,
    notices: flume::Receiver<Notice>,
    pub(crate) next_handle: u64,
    pub(crate) timers: Timers,
    pub(crate) listeners: Listeners,
    watchers: HashMap<RunId, Vec<oneshot::Sender<()>>>,
    /// Watched runs that were live when the memory was lost.
    unsure: Vec<RunId>,
    /// Runs that were read from the store and have ended, while notices of them may still wait.
    ended_untold: HashSet<RunId>,
    dirty: Vec<u64>,
    dirty_since: Millis,
}

/// The driver's memory can no longer be trusted; the disk can.
pub(crate) struct Lost;

impl Driver {
    pub(crate) fn new(
        parts: Parts,
        outside: Arc<Outside>,
        spine: Spine,
        outbox: flume::Sender<Message>,
        inbox: flume::Receiver<Message>,
    ) -> Self {
        let holder = openevent_domain::id::uuid_v7(parts.clock.now(), parts.chance.as_ref()).to_string();
        Self {
            notices: parts.store.wake().notices(),
            permits: Arc::new(Semaphore::new(parts.settings.calls_max)),
            store: parts.store,
            registry: parts.registry,
            clock: parts.clock,
            owner: parts.owner,
            settings: parts.settings,
            holder,
            runs: HashMap::new(),
            by_id: HashMap::new(),
            lease_renewed_at: 0,
            spine,
            outside,
            outbox,
            inbox,
            next_handle: 0,
            timers: Timers::default(),
            listeners: Listeners::default(),
            watchers: HashMap::new(),
            unsure: Vec::new(),
            ended_untold: HashSet::new(),
            dirty: Vec::new(),
            dirty_since: 0,
        }
    }

    /// Drives until the owner says stop.
    pub(crate) async fn run(mut self) {
        let stop = self.owner.stop.clone();
        while !stop.is_cancelled() {
            if !self.hold_lease().await {
                // Another node drives: whoever asks here learns it, and what is told here is on disk.
                self.drop_messages();
                self.notices.drain().for_each(drop);
                let pause = tokio::time::sleep(Duration::from_millis(TICK_MS as u64));
                let _ = stop.run_until_cancelled(pause).await;
                continue;
            }
            let driven = match self.restore().await {
                Ok(()) => self.drive().await,
                Err(Lost) => Err(Lost),
            };
            self.forget_everything();
            if driven.is_err() && !stop.is_cancelled() {
                tracing::warn!("the engine reads its runs again from the store");
                let _ = stop
                    .run_until_cancelled(tokio::time::sleep(Duration::from_millis(PAUSE_MS_MAX / 4)))
                    .await;
            }
        }
        self.give_lease_back().await;
    }

    async fn drive(&mut self) -> Result<(), Lost> {
        let stop = self.owner.stop.clone();
        while !stop.is_cancelled() {
            let woken = self.wait().await;
            let mut batch = Batch::new(self.clock.now());
            self.gather(woken, &mut batch).await?;
            self.settle(batch).await?;
            if !self.keep_lease().await {
                return Err(Lost);
            }
        }
        Ok(())
    }

    async fn wait(&self) -> Woken {
        let now = self.clock.now();
        let marks = if self.dirty.is_empty() { now + TICK_MS } else { self.dirty_since + MARK_AFTER_MS };
        let due = self.timers.next().unwrap_or(marks).min(marks).min(now + TICK_MS);
        let pause = Duration::from_millis((due - now).max(0) as u64);
        tokio::select! {
            () = self.owner.stop.cancelled() => Woken::Time,
            Ok(notice) = self.notices.recv_async() => Woken::Notice(notice),
            Ok(message) = self.inbox.recv_async() => Woken::Message(message),
            () = tokio::time::sleep(pause) => Woken::Time,
        }
    }

    async fn gather(&mut self, woken: Woken, batch: &mut Batch) -> Result<(), Lost> {
        match woken {
            Woken::Notice(notice) => self.take_notice(notice, batch).await?,
            Woken::Message(message) => self.take_message(message, batch),
            Woken::Time => {}
        }
        let notices: Vec<Notice> = self.notices.try_iter().take(TURN_MAX).collect();
        for notice in notices {
            self.take_notice(notice, batch).await?;
        }
        if self.notices.is_empty() {
            self.ended_untold.clear();
        }
        let messages: Vec<Message> = self.inbox.try_iter().take(TURN_MAX).collect();
        for message in messages {
            self.take_message(message, batch);
        }
        for _ in 0..TURN_MAX {
            let Some((handle, op)) = self.timers.take_due(batch.now) else { break };
            self.advance(handle, Input::Fired { op }, batch);
        }
        self.mark_dirty(batch);
        Ok(())
    }

    async fn take_notice(&mut self, notice: Notice, batch: &mut Batch) -> Result<(), Lost> {
        for run in &notice.runs {
            if !self.ended_untold.contains(&run.id) {
                self.begin(Beginning::from(run.as_ref()), batch).await?;
            }
        }
        for signal in &notice.signals {
            let heard = Heard { tenant: &signal.tenant, name: &signal.name, received_at: signal.received_at };
            self.offer(heard, || event_of(signal), batch);
        }
        Ok(())
    }

    fn take_message(&mut self, message: Message, batch: &mut Batch) {
        match message {
            Message::Answer { handle, input } => drop(self.advance(handle, input, batch)),
            Message::Offer { handle, events } => {
                for event in events {
                    self.advance(handle, Input::Signal { event }, batch);
                }
            }
            Message::Control { tenant, run, control, reply } => {
                let handle = self.by_id.get(&run).copied();
                let handle =
                    handle.filter(|handle| self.runs.get(handle).is_some_and(|live| live.tenant == tenant));
                let changed = handle.is_some_and(|handle| self.advance(handle, control.input(), batch));
                batch.replies.push((reply, changed));
            }
            Message::Watch { run, ended } => self.watchers.entry(run).or_default().push(ended),
        }
    }

    /// Begins a run that the store has, unless it is driven already.
    pub(crate) async fn begin(&mut self, beginning: Beginning, batch: &mut Batch) -> Result<(), Lost> {
        if self.by_id.contains_key(&beginning.id) {
            return Ok(());
        }
        let kept = (beginning.definition_hash.as_str(), beginning.semantics);
        let Some(definition) = self.definition(&beginning.id, kept).await? else { return Ok(()) };
        let mut live = Live::new(beginning.id.clone(), beginning.tenant, definition);
        live.taken_up = beginning.taken_up;
        let handle = self.adopt(live);
        metrics::counter!("openevent_runs_started_total").increment(1);
        let run_id = beginning.id.as_str().to_owned();
        let input = Arc::unwrap_or_clone(beginning.input);
        let started = Input::Started { input, run_id, by_events: beginning.by_events };
        self.apply(handle, started, beginning.started_at, batch);
        Ok(())
    }

    /// The definition a run keeps, if it can be driven: it is there, it is read, and its run began under the
    /// semantics of this interpreter. A run that cannot be driven stays as it is, for a binary that can.
    pub(crate) async fn definition(
        &self,
        run: &RunId,
        (hash, semantics): (&str, i64),
    ) -> Result<Option<Arc<Definition>>, Lost> {
        if semantics != i64::from(openevent_flow::SEMANTICS) {
            tracing::error!(run.id = %run, semantics, "a run began under semantics this version does not have");
            return Ok(None);
        }
        let definition = match self.registry.known_definition(hash) {
            Some(definition) => Some(definition),
            None => self.registry.definition(hash).await.map_err(|cause| crate::restore::lost(&cause))?,
        };
        if definition.is_none() {
            tracing::error!(run.id = %run, "a run's definition is missing or no longer read");
        }
        Ok(definition)
    }

    pub(crate) fn adopt(&mut self, live: Live) -> u64 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.by_id.insert(live.id.clone(), handle);
        self.runs.insert(handle, live);
        handle
    }

    /// Offers a signal to the runs that listen for it, except those that look back less far than it is old: it
    /// may come late, by a notice that waited or from another node.
    pub(crate) fn offer(&mut self, heard: Heard<'_>, event: impl FnOnce() -> Value, batch: &mut Batch) {
        let mut handles = self.listeners.of(heard.tenant, heard.name);
        let hears = |live: &Live| heard.received_at >= live.hears_from;
        handles.retain(|handle| self.runs.get(handle).is_some_and(hears));
        if handles.is_empty() {
            return;
        }
        let event = event();
        for handle in handles {
            self.advance(handle, Input::Signal { event: event.clone() }, batch);
        }
    }

    fn advance(&mut self, handle: u64, input: Input, batch: &mut Batch) -> bool {
        self.apply(handle, input, batch.now, batch)
    }

    /// Hands an input to its run, and at once the answers to what the run emits. `true`: it was accepted.
    fn apply(&mut self, handle: u64, input: Input, at: Millis, batch: &mut Batch) -> bool {
        let (mut inputs, mut accepted) = (VecDeque::from([input]), false);
        while let Some(input) = inputs.pop_front() {
            let Some(live) = self.runs.get_mut(&handle) else { break };
            let begins = matches!(input, Input::Started { .. });
            let text = if begins { None } else { serde_json::to_string(&input).ok() };
            let step = live.run.apply(&live.definition, if begins { at } else { batch.now }, input);
            if !step.accepted {
                continue;
            }
            accepted = true;
            if let Some(text) = text {
                live.seq += 1;
                batch.journal(live, text);
            }
            for command in step.commands {
                self.take_command(handle, command, &mut inputs, batch);
            }
        }
        self.note_phase(handle, batch);
        accepted
    }

    /// Sorts a command: what is written now, what is answered now, what is done after the commit.
    pub(crate) fn take_command(
        &mut self,
        handle: u64,
        command: Command,
        inputs: &mut VecDeque<Input>,
        batch: &mut Batch,
    ) {
        let Some(live) = self.runs.get(&handle) else { return };
        match command {
            Command::Emit { op, event } => {
                inputs.push_back(emit(&self.spine, &live.tenant, op, event, batch));
            }
            Command::Finish(outcome) => batch.end(handle, &live.id, outcome),
            other => batch.effects.push((handle, other)),
        }
    }

    /// Gives inputs that arose outside a turn to a run.
    pub(crate) fn feed(&mut self, handle: u64, inputs: VecDeque<Input>, batch: &mut Batch) {
        for input in inputs {
            self.advance(handle, input, batch);
        }
    }

    fn note_phase(&mut self, handle: u64, batch: &Batch) {
        let Some(live) = self.runs.get(&handle) else { return };
        if !live.run.is_finished() && live.run.status() != live.marked {
            if self.dirty.is_empty() {
                self.dirty_since = batch.now;
            }
            self.dirty.push(handle);
        }
    }

    /// Writes phases that have lasted: most runs end before theirs is worth a row.
    fn mark_dirty(&mut self, batch: &mut Batch) {
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

    fn tell_watchers(&mut self, run: &RunId) {
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

    fn forget_everything(&mut self) {
        self.unsure.extend(self.watchers.keys().filter(|run| self.by_id.contains_key(run)).cloned());
        self.runs.clear();
        self.by_id.clear();
        self.timers.clear();
        self.listeners.clear();
        self.dirty.clear();
        self.drop_messages();
    }

    /// Drops what was meant for the memory there was. Who watches a run goes on watching.
    fn drop_messages(&mut self) {
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
}

/// Whose signal it is, its name, and when it came: what decides who is offered it.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) name: &'a str,
    pub(crate) received_at: Millis,
}

fn event_of(signal: &NewSignal) -> Value {
    let payload = serde_json::from_str(&signal.payload).unwrap_or_default();
    cloud_event(signal.id.as_str(), &signal.name, payload, &signal.attributes, signal.received_at)
}

/// What ended a wait.
enum Woken {
    Notice(Notice),
    Message(Message),
    Time,
}

impl Driver {
    /// Takes up runs whose notice did not fit into the queue, or that another node started.
    pub(crate) async fn take_up_pending(&mut self) -> Result<(), Lost> {
        let mut after = None;
        loop {
            let page = self.store.pending_runs(after.as_ref(), TURN_MAX as i64).await.map_err(|_| Lost)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            let mut batch = Batch::new(self.clock.now());
            for record in page {
                self.begin(record.into(), &mut batch).await?;
            }
            self.settle(batch).await?;
        }
    }

    /// Ends a run that cannot be driven.
    pub(crate) fn give_up(&mut self, handle: u64, fault: Fault, batch: &mut Batch) {
        if let Some(live) = self.runs.get(&handle) {
            batch.end(handle, &live.id, Outcome::Faulted(fault));
        }
    }

    /// Says how many runs are live, and forgets who no longer waits: watchers here, the engine for signals.
    pub(crate) fn report(&mut self) {
        self.forget_idle_watchers();
        self.store.wake().want_signals(!self.listeners.is_empty());
        let waiting = self.runs.values().filter(|live| live.run.status() == Status::Waiting).count();
        metrics::gauge!("openevent_engine_runs_live").set(self.runs.len() as f64);
        metrics::gauge!("openevent_engine_runs_waiting").set(waiting as f64);
    }
}
