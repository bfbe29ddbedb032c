//! Faults climb until something catches them, and a run nobody caught one for can be retried from there.
//!
//! Invariant: a run that faulted keeps its frames and operations as they were, but for the task that failed, which is
//! empty: a retry begins that task again and takes everything else up where it was. Not here: catching (`catch`).

use super::machine::Machine;
use super::state::{Before, Failed, FrameId, Origin, Pending, Purpose, State, Work};
use super::{JUMPS_PER_INPUT_MAX, outstanding};
use crate::model::Kind;
use crate::{Fault, FaultKind, Outcome};

impl Machine<'_> {
    /// A task failed: the fault climbs to the first `try` that catches it.
    pub(super) fn faulted(&mut self, id: FrameId, fault: Fault) {
        let Some(frame) = self.frame(id) else { return };
        let (mut origin, mut fault) = (id, fault.at(&self.task_of(frame).reference));
        let mut path = vec![(id, fault.clone())];
        let mut above = frame.parent;
        while let Some(parent) = above {
            match self.is_caught_by(parent, &fault) {
                Ok(false) => {}
                Ok(true) => return self.caught_by(parent, &path, fault),
                Err(failure) => {
                    let reference = self.frame(parent).map(|frame| self.task_of(frame).reference.as_str());
                    (origin, fault) = (parent, failure.at(reference.unwrap_or("/")));
                }
            }
            path.push((parent, fault.clone()));
            above = self.frame(parent).and_then(|frame| frame.parent);
        }
        for (id, fault) in &path {
            self.has_faulted(*id, fault);
        }
        self.clear_inside_of_failed(origin, &path);
        for id in self.open_frames() {
            if !path.iter().any(|(other, _)| *other == id) {
                self.cancelled(id);
            }
        }
        self.end_faulted(Origin::Task(origin), fault);
    }

    fn caught_by(&mut self, parent: FrameId, path: &[(FrameId, Fault)], fault: Fault) {
        for (id, fault) in path {
            self.has_faulted(*id, fault);
            self.remove(*id);
        }
        self.caught(parent, fault);
    }

    /// What is inside a task that failed is not taken up again.
    fn clear_inside_of_failed(&mut self, origin: FrameId, path: &[(FrameId, Fault)]) {
        for (id, _) in path.iter().take_while(|(id, _)| *id != origin) {
            self.remove(*id);
        }
        self.clear_inside(origin);
        self.abandon_ops(origin);
        self.set_state(origin, State::Inside);
        self.work.retain(|work| match work {
            Work::Start { parent, .. } => *parent != Some(origin),
            Work::Done { frame, .. } | Work::Fail { frame, .. } => *frame != origin,
            Work::Finish { .. } => true,
        });
    }

    pub(super) fn open_frames(&self) -> Vec<FrameId> {
        self.body.frames().keys().copied().collect()
    }

    // ---- the run ends by a fault

    /// Ends the run for its own sake: its time is up, or it could not begin or end.
    pub(super) fn finish_faulted(&mut self, origin: Origin, fault: Fault) {
        for id in self.open_frames() {
            self.has_faulted(id, &fault);
        }
        self.end_faulted(origin, fault);
    }

    /// Ends a run whose tasks go round in circles; catching that would only reach the limit again.
    pub(super) fn go_round(&mut self, origin: Origin, around: Option<FrameId>) {
        let detail = format!(
            "the tasks go round in circles: more than {JUMPS_PER_INPUT_MAX} jumps back without waiting"
        );
        self.give_up(origin, around, Fault::new(FaultKind::Runtime, detail));
    }

    /// Ends the run by a fault nothing can catch.
    pub(super) fn give_up(&mut self, origin: Origin, frame: Option<FrameId>, fault: Fault) {
        let reference =
            frame.and_then(|id| self.frame(id)).map(|frame| self.task_of(frame).reference.as_str());
        self.finish_faulted(origin, fault.at(reference.unwrap_or("/")));
    }

    fn end_faulted(&mut self, origin: Origin, fault: Fault) {
        let work = self.work.drain(..).collect();
        self.body.failed = Some(Failed { origin, work, rest: Vec::new() });
        self.outcome = Some(Outcome::Faulted(fault));
    }

    // ---- and goes on

    /// Whether there was something to retry. Secrets that were not there are asked for again first.
    pub(super) fn retry(&mut self) -> bool {
        let is_waiting = self.body.pending().values().any(|open| matches!(open, Pending::Secrets { .. }));
        let Some(failed) = self.body.failed.as_ref().filter(|_| !is_waiting) else { return false };
        if !matches!(failed.origin, Origin::Start { .. }) && self.lacks_secrets() {
            self.ask_for_secrets(Before::Retry);
        } else {
            self.go_on();
        }
        true
    }

    /// Goes on from what failed.
    pub(super) fn go_on(&mut self) {
        let Some(Failed { origin, work, rest }) = self.body.failed.take() else { return };
        if let Origin::Start { by_events } = origin {
            let input = self.body.input.to_json();
            return self.restart(&input, by_events);
        }
        let failed = if let Origin::Task(id) = origin { Some(id) } else { None };
        self.take_up();
        for id in self.open_frames() {
            if Some(id) != failed {
                self.goes_on(id);
            }
        }
        if let Some(id) = failed {
            self.begin_again(id);
        }
        for work in work {
            match work {
                Work::Fail { frame, .. } => self.begin_again(frame),
                work => self.work.push_back(work),
            }
        }
        self.work();
        self.deliver_all(rest);
    }

    /// Begins a task again in its frame, with its raw input.
    fn begin_again(&mut self, id: FrameId) {
        self.clear_inside(id);
        self.abandon_ops(id);
        let now = self.now;
        let Some(frame) = self.body.frame_mut(id) else { return };
        (frame.input, frame.started_at, frame.timeout) = (frame.raw.clone(), now, None);
        frame.state = State::Inside;
        self.begin(id);
    }

    /// Asks again for everything that was pending. Time limits begin anew; pauses end when they would have.
    fn take_up(&mut self) {
        let open: Vec<(u64, Pending)> = self.body.pending().iter().map(|(op, open)| (*op, *open)).collect();
        let mut is_limited = false;
        for (op, pending) in open {
            let Pending::Timer { at, purpose } = pending else { continue };
            is_limited |= purpose == Purpose::RunTimeout;
            let at = self.limit(purpose).map_or(at, |limit| self.now.saturating_add(limit));
            self.body.open(op, Pending::Timer { at, purpose });
        }
        let commands = outstanding(self.def, &self.body);
        for command in commands {
            self.command(command);
        }
        if let (false, Some(limit)) = (is_limited, self.body.limit_ms) {
            self.timer(limit, Purpose::RunTimeout);
        }
    }

    /// How long what a timer limits may take, if it is such a timer.
    fn limit(&self, purpose: Purpose) -> Option<i64> {
        let (frame, delay) = match purpose {
            Purpose::RunTimeout => return self.body.limit_ms,
            Purpose::TaskTimeout(frame) => (frame, self.task_of(self.frame(frame)?).timeout.as_ref()?),
            Purpose::AttemptTimeout(frame) => match self.kind_of(frame)? {
                Kind::Try(kind) => (frame, kind.retry.as_ref()?.attempt_timeout.as_ref()?),
                _ => return None,
            },
            Purpose::Wait(_) | Purpose::Retry(_) => return None,
        };
        self.delay(frame, delay).ok()
    }
}
