//! Telling a tracer what tasks do.
//!
//! Invariant: nothing here changes the run, and without a tracer it costs next to nothing. Not here: what is made of it
//! (`chronicle`, drivers).

use super::machine::Machine;
use super::state::{FrameId, Phase, State};
use crate::history::{Happened, Payload, TaskChange, TaskStart};
use crate::jq::Val;
use crate::{Fault, Status};

impl Machine<'_> {
    fn happened(&mut self, id: FrameId, happened: Happened<'_>) {
        if let Some(tracer) = &mut self.tracer
            && let Some(frame) = self.body.frames().get(&id)
        {
            let task = &self.def.model.tasks[frame.task as usize];
            let (name, reference) = (task.name.as_str(), task.reference.as_str());
            let change = TaskChange { instance: u64::from(id), name, reference, happened };
            tracer.changed(&change, self.now);
        }
    }

    /// A task waits for a time or an event.
    pub(super) fn waits(&mut self, id: FrameId) {
        self.happened(id, Happened::Waits);
    }

    pub(super) fn completed(&mut self, id: FrameId, output: &Val) {
        if self.tracer.is_some() {
            self.happened(id, Happened::Completed(&Payload(output.clone())));
        }
    }

    pub(super) fn has_faulted(&mut self, id: FrameId, fault: &Fault) {
        self.happened(id, Happened::Faulted(fault));
    }

    pub(super) fn cancelled(&mut self, id: FrameId) {
        self.happened(id, Happened::Cancelled);
    }

    /// A task that failed, or whose run did, goes on.
    pub(super) fn goes_on(&mut self, id: FrameId) {
        self.happened(id, Happened::Retried(self.phase(id)));
    }

    pub(super) fn all_suspended(&mut self) {
        self.all(|_| Happened::Suspended);
    }

    pub(super) fn all_resumed(&mut self) {
        self.all(Happened::Resumed);
    }

    fn all(&mut self, happened: fn(Status) -> Happened<'static>) {
        if self.tracer.is_some() {
            for id in self.open_frames() {
                self.happened(id, happened(self.phase(id)));
            }
        }
    }

    /// What a task under way is about.
    fn phase(&self, id: FrameId) -> Status {
        match self.frame(id).map(|frame| &frame.state) {
            Some(State::Wait { .. }) => Status::Waiting,
            Some(State::Listen(listening)) if listening.item.is_none() => Status::Waiting,
            Some(State::Try(trying)) if trying.phase == Phase::Pausing => Status::Waiting,
            _ => Status::Running,
        }
    }

    pub(super) fn trace_start(&mut self, id: FrameId) {
        let Some(tracer) = &mut self.tracer else { return };
        let Some(frame) = self.body.frames().get(&id) else { return };
        let parent = frame.parent.and_then(|parent| self.body.frames().get(&parent));
        let (attempt, round) = match parent.map(|parent| &parent.state) {
            Some(State::Try(trying)) => (trying.attempt, 0),
            Some(State::For { index, .. }) => (1, *index),
            Some(State::Listen(listening)) => (1, listening.index),
            _ => (1, 0),
        };
        let task = &self.def.model.tasks[frame.task as usize];
        let start = TaskStart {
            instance: u64::from(id),
            parent: frame.parent.map(u64::from),
            parent_attempt: attempt,
            round,
            name: &task.name,
            reference: &task.reference,
            input: &Payload(frame.input.clone()),
        };
        tracer.started(&start, self.now);
    }

    /// Listening has begun.
    pub(super) fn correlation_started(&mut self) {
        if let Some(tracer) = &mut self.tracer {
            tracer.correlating(self.now);
        }
    }

    /// Enough events came; these are the values that linked them.
    pub(super) fn correlation_completed(&mut self, keys: &[(String, Val)]) {
        if let Some(tracer) = &mut self.tracer {
            let keys: Vec<_> = keys.iter().map(|(name, val)| (name.clone(), val.to_json())).collect();
            tracer.correlated(&keys, self.now);
        }
    }
}
