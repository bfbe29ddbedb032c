//! The embedded driver: one thread that takes in what happened, writes it down, then does what follows.
//!
//! Invariant: a turn is gather → apply → commit → perform. Whatever fails in between leaves the disk as the
//! truth: the driver forgets its memory and reads it again.
//! Not here: how runs come to be driven (`begin`, `restore`), the end of a turn (`settle`), what follows a commit
//! (`perform`), emitting (`emit`), runs of runs (`children`), the rows (`batch`).

use crate::actions::Outside;
use crate::batch::Batch;
use crate::clockwork::Clockwork;
use crate::driving::Driving;
use crate::emit::emit;
use crate::gathering::Gathering;
use crate::gating::Gates;
use crate::handle::{Control, Message, Parts, Settings};
use crate::lifecycle::Audience;
use crate::listeners::Listeners;
use crate::live::{Beginning, Live};
use crate::registry::Registry;
use crate::remote::{Abroad, Courier};
use crate::settle::MARK_AFTER_MS;
use crate::spine::Spine;
use crate::timers::Timers;
use openevent_domain::ambient::{Clock, Millis};
use openevent_domain::id::RunId;
use openevent_domain::signal::cloud_event;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Command, Input};
use openevent_store::{NewSignal, Notice, Owner, Store};
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};

/// Inputs one turn takes in at most, of each kind.
pub(crate) const TURN_MAX: usize = 2_048;
/// The longest sleep.
const TICK_MS: i64 = 1_000;
/// Between two looks at other nodes' work.
pub(crate) const LOOK_MS: i64 = 20;
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
    pub(crate) inbox: flume::Receiver<Message>,
    pub(crate) notices: flume::Receiver<Notice>,
    pub(crate) next_handle: u64,
    pub(crate) timers: Timers,
    pub(crate) listeners: Listeners,
    pub(crate) audience: Arc<Audience>,
    pub(crate) gates: Gates,
    pub(crate) clockwork: Clockwork,
    pub(crate) gathering: Gathering,
    pub(crate) watchers: HashMap<RunId, Vec<oneshot::Sender<()>>>,
    /// Watched runs that were live when the memory was lost.
    pub(crate) unsure: Vec<RunId>,
    /// Runs that were read from the store and have ended, while notices of them may still wait.
    pub(crate) ended_untold: HashSet<RunId>,
    pub(crate) dirty: Vec<u64>,
    pub(crate) dirty_since: Millis,
    pub(crate) driving: Driving,
    /// Where runs are driven elsewhere, what has to be known of that.
    pub(crate) abroad: Option<Abroad>,
    /// How far signals are known to be offered there.
    pub(crate) offered_at: Millis,
    /// Commits of other nodes.
    elsewhere: watch::Receiver<u64>,
    /// Whether there were any since their work was last looked at.
    pub(crate) is_stirred: bool,
    /// Runs found in the store that a cluster drives.
    pub(crate) left_abroad: usize,
    /// When other nodes' work was last looked at.
    pub(crate) looked_at: Millis,
}

/// The driver's memory can no longer be trusted; the disk can.
pub(crate) struct Lost;

impl Driver {
    pub(crate) fn new(
        parts: Parts,
        outside: Arc<Outside>,
        spine: Spine,
        audience: Arc<Audience>,
        (outbox, inbox): (flume::Sender<Message>, flume::Receiver<Message>),
        courier: Option<Arc<Courier>>,
    ) -> Self {
        let holder = openevent_domain::id::uuid_v7(parts.clock.now(), parts.chance.as_ref()).to_string();
        Self {
            notices: parts.store.wake().notices(),
            elsewhere: parts.store.wake().stirred_elsewhere(),
            is_stirred: false,
            left_abroad: 0,
            looked_at: 0,
            abroad: courier.map(Abroad::new),
            offered_at: 0,
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
            audience,
            gates: Gates::default(),
            clockwork: Clockwork::default(),
            gathering: Gathering::default(),
            watchers: HashMap::new(),
            unsure: Vec::new(),
            ended_untold: HashSet::new(),
            dirty: Vec::new(),
            dirty_since: 0,
            driving: Driving::default(),
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
            // What was told so far is on disk and read from there; some of it may have ended on another node since.
            self.notices.drain().for_each(drop);
            let restored =
                if self.abroad.is_some() { self.restore_abroad().await } else { self.restore().await };
            let driven = match restored {
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
        let _seat = self.driving.begin();
        let stop = self.owner.stop.clone();
        while !stop.is_cancelled() {
            let woken = self.wait().await;
            let mut batch = Batch::new(self.clock.now());
            self.gather(woken, &mut batch).await?;
            self.settle(batch).await?;
            self.keep_time().await;
            self.gather_events().await;
            if !self.keep_lease().await {
                return Err(Lost);
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Woken {
        let now = self.clock.now();
        if self.looks_soon() {
            // Rest until then: more may come in the meantime, and all of it is looked at once.
            let pause = Duration::from_millis((self.looked_at + LOOK_MS - now).clamp(0, LOOK_MS) as u64);
            return match tokio::time::timeout(pause, self.wait_for(now + LOOK_MS)).await {
                Ok(woken) => woken,
                Err(_) => Woken::Time,
            };
        }
        let marks = if self.dirty.is_empty() { now + TICK_MS } else { self.dirty_since + MARK_AFTER_MS };
        let others = [self.timers.next(), self.gates.next(now), self.clockwork.next(), self.gathering.next()];
        let due = others.into_iter().flatten().fold(marks.min(now + TICK_MS), Millis::min);
        self.wait_for(due).await
    }

    async fn wait_for(&mut self, due: Millis) -> Woken {
        let pause = Duration::from_millis((due - self.clock.now()).max(0) as u64);
        tokio::select! {
            () = self.owner.stop.cancelled() => Woken::Time,
            Ok(notice) = self.notices.recv_async() => Woken::Notice(notice),
            Ok(message) = self.inbox.recv_async() => Woken::Message(message),
            Ok(()) = self.elsewhere.changed() => {
                self.is_stirred = true;
                Woken::Time
            }
            () = tokio::time::sleep(pause) => Woken::Time,
        }
    }

    /// Whether other nodes' work is to be looked at as soon as it may.
    fn looks_soon(&self) -> bool {
        self.is_stirred || self.abroad.as_ref().is_some_and(|abroad| abroad.moved)
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
        self.pass_gates(batch);
        self.mark_dirty(batch);
        Ok(())
    }

    async fn take_notice(&mut self, notice: Notice, batch: &mut Batch) -> Result<(), Lost> {
        for run in &notice.runs {
            if !self.ended_untold.contains(&run.id) {
                self.begin(Beginning::from(run.as_ref()), batch).await?;
            }
        }
        self.reopen(&notice.reopened, batch).await?;
        if let Some(abroad) = &mut self.abroad {
            abroad.moved |= notice.moved;
        }
        self.gathering.told(notice.gathered);
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
            Message::Control { tenant, run, control, act, reply } => {
                let handle = self.by_id.get(&run).copied();
                let handle =
                    handle.filter(|handle| self.runs.get(handle).is_some_and(|live| live.tenant == tenant));
                let mut changed = handle.is_some_and(|handle| self.advance(handle, control.input(), batch));
                if control == Control::Cancel && self.gates.holds(&tenant, &run) {
                    self.turn_away(run, None, batch);
                    changed = true;
                }
                if changed {
                    batch.acts.extend(act.map(|act| *act));
                }
                batch.replies.push((reply, changed));
            }
            Message::Compacted { handle, compacted } => self.compacted(handle, compacted),
            Message::Watch { run, ended } => self.watchers.entry(run).or_default().push(ended),
        }
    }

    /// Offers a signal to the runs that listen for it, except those that look back less far than it is old: it
    /// may come late, by a notice that waited or from another node.
    pub(crate) fn offer(&mut self, heard: Heard<'_>, event: impl FnOnce() -> Value, batch: &mut Batch) {
        if self.abroad.is_some() {
            return self.offer_abroad(heard, event);
        }
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

    pub(crate) fn advance(&mut self, handle: u64, input: Input, batch: &mut Batch) -> bool {
        self.apply(handle, input, batch.now, batch)
    }

    /// Hands an input to its run, and at once the answers to what the run emits. `true`: it was accepted.
    pub(crate) fn apply(&mut self, handle: u64, input: Input, at: Millis, batch: &mut Batch) -> bool {
        let (mut inputs, mut accepted) = (VecDeque::from([input]), false);
        while let Some(input) = inputs.pop_front() {
            let begins = matches!(input, Input::Started { .. });
            let text = if begins { None } else { serde_json::to_string(&input).ok() };
            let now = if begins { at } else { batch.now };
            let told = if self.is_heard() { self.told_step(handle, now, &input, batch) } else { None };
            let Some(live) = self.runs.get_mut(&handle) else { break };
            let step = told.unwrap_or_else(|| live.run.apply(&live.definition, now, input));
            if !step.accepted {
                continue;
            }
            accepted = true;
            if let Some(text) = text {
                live.seq += 1;
                batch.journal(handle, live, text);
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
                inputs.push_back(emit(&self.spine, live, op, event, batch));
            }
            Command::Child { op, child } => self.start_child(handle, op, child, inputs, batch),
            Command::Abandon { op } => {
                self.cancel_child(handle, op, batch);
                batch.effects.push((handle, Command::Abandon { op }));
            }
            Command::Finish(outcome) => self.finish(handle, outcome, batch),
            other => batch.effects.push((handle, other)),
        }
    }

    /// Gives inputs that arose outside a turn to a run.
    pub(crate) fn feed(&mut self, handle: u64, inputs: VecDeque<Input>, batch: &mut Batch) {
        for input in inputs {
            self.advance(handle, input, batch);
        }
    }
}

/// Whose signal it is, its name, and when it came: what decides who is offered it.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) name: &'a str,
    pub(crate) received_at: Millis,
}

/// A signal that was just made, as runs see it.
pub(crate) fn event_of(signal: &NewSignal) -> Value {
    let payload = serde_json::from_str(&signal.payload).unwrap_or_default();
    cloud_event(signal.id.as_str(), &signal.name, payload, &signal.attributes, signal.received_at)
}

/// What ended a wait.
enum Woken {
    Notice(Notice),
    Message(Message),
    Time,
}
