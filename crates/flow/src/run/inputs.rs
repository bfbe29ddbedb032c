//! Inputs from outside: the start, answers, timers, signals, and people who cancel, suspend and resume.
//!
//! Invariant: an input that is not accepted has changed nothing. Not here: what tasks do with answers (`kinds`).

use serde_json::Value;

use super::data::{check, evaluated_delay, expression, invalid};
use super::env::Env;
use super::machine::Machine;
use super::state::{Before, FrameId, Origin, Pending, Purpose, State};
use crate::jq::Val;
use crate::model::Delay;
use crate::{Fault, FaultKind, Input, Outcome};

/// The operation an input answers.
pub(super) fn op_of(input: &Input) -> Option<u64> {
    match input {
        Input::Done { op, .. } | Input::Failed { op, .. } | Input::Fired { op } => Some(*op),
        _ => None,
    }
}

impl Machine<'_> {
    // ---- the start

    pub(super) fn started(&mut self, input: &Value, by_events: bool) {
        match Val::from_json(input) {
            Ok(val) => {
                if let (true, Val::Arr(events)) = (by_events, &val) {
                    events.items().iter().for_each(|event| self.body.consume(event));
                }
                self.body.input = val;
                self.restart(input, by_events);
            }
            Err(cut) => {
                self.finish_faulted(
                    Origin::Run,
                    Fault::new(FaultKind::Validation, cut.reason()).at("/input"),
                );
                self.body.failed = None; // there is nothing to begin with
            }
        }
    }

    /// Begins the run with its raw input, again if it could not the first time.
    pub(super) fn restart(&mut self, input: &Value, by_events: bool) {
        if let Err(fault) = self.try_start(input, by_events) {
            self.finish_faulted(Origin::Start { by_events }, fault.at("/input"));
        }
        self.work();
    }

    fn try_start(&mut self, input: &Value, by_events: bool) -> Result<(), Fault> {
        let val = self.body.input.clone();
        let model = &self.def.model;
        let checked = match input {
            Value::Array(events) if by_events => self.def.check_events(events),
            input => self.def.check_input(input),
        };
        checked.map_err(|errors| invalid("input", &errors))?;
        if model.input.refused.is_some() {
            check(&model.input, &val, "input")?;
        }
        if self.lacks_secrets() {
            self.ask_for_secrets(Before::Start { by_events });
            return Ok(());
        }
        self.shape_and_start(val)
    }

    fn shape_and_start(&mut self, val: Val) -> Result<(), Fault> {
        let model = &self.def.model;
        let env = Env::of_run(self.def, &self.body);
        let shaped = model.input.shape.as_ref().map(|shape| shape.eval(&val, &env).map_err(expression));
        let data = shaped.transpose()?.unwrap_or(val);
        let after = match &model.timeout {
            None => None,
            Some(Delay::Fixed(ms)) => Some(*ms),
            Some(Delay::Expr(template)) => Some(evaluated_delay(template, &data, &env)?),
        };
        // the context is a map by definition; other input is not put into it
        self.body.context = if matches!(data, Val::Obj(_)) { data.clone() } else { Val::record([]) };
        self.body.limit_ms = after;
        self.listen_for_cancel();
        if let Some(after) = after {
            self.timer(after, Purpose::RunTimeout);
        }
        match model.root.first() {
            Some(first) => self.start(None, *first, data),
            None => self.finish(data),
        }
        Ok(())
    }

    // ---- everything after it

    /// Whether the input is accepted; if so it has been worked off.
    pub(super) fn input(&mut self, input: Input) -> bool {
        match input {
            Input::Cancel => {
                self.end(Outcome::Cancelled);
                true
            }
            Input::Suspend => self.suspend(),
            Input::Resume => self.resume(),
            Input::Retry => self.retry(),
            Input::Started { .. } => false,
            Input::Signal { event } => self.heard(event),
            input if self.body.held.is_some() => self.hold(input),
            input => self.deliver(input),
        }
    }

    fn suspend(&mut self) -> bool {
        let fresh = self.body.held.is_none();
        if fresh {
            self.body.held = Some(Vec::new());
            self.all_suspended();
        }
        fresh
    }

    fn resume(&mut self) -> bool {
        let Some(held) = self.body.held.take() else { return false };
        self.all_resumed();
        self.deliver_all(held);
        true
    }

    /// Hands over inputs that were kept; what comes after a fault is kept for a retry.
    pub(super) fn deliver_all(&mut self, kept: Vec<Input>) {
        for input in kept {
            if let Some(failed) = &mut self.body.failed {
                failed.rest.push(input);
            } else if !self.is_over() {
                self.deliver(input);
            }
        }
    }

    /// Keeps what would be accepted for later.
    fn hold(&mut self, input: Input) -> bool {
        let held = self.body.held.as_deref().unwrap_or_default();
        let wanted = match &input {
            Input::Signal { event } => Val::from_json(event).is_ok_and(|val| {
                let seen = held
                    .iter()
                    .any(|other| matches!(other, Input::Signal { event: other } if other == event));
                !seen && self.is_listened_to(&val)
            }),
            input => op_of(input).is_some_and(|op| {
                let fits = self.body.pending().get(&op).is_some_and(|pending| answers(input, *pending));
                fits && !held.iter().any(|other| op_of(other) == Some(op))
            }),
        };
        if wanted {
            self.body.held.get_or_insert_default().push(input);
        }
        wanted
    }

    fn deliver(&mut self, input: Input) -> bool {
        let accepted = match input {
            Input::Signal { event } => Val::from_json(&event).is_ok_and(|event| self.signal(&event)),
            input => match self.asked_by(&input) {
                Some((op, pending)) => {
                    self.body.close(op);
                    self.answer(input, pending);
                    true
                }
                None => false,
            },
        };
        self.work();
        accepted
    }

    /// The operation an input answers, if it is one that can be answered now.
    fn asked_by(&self, input: &Input) -> Option<(u64, Pending)> {
        let op = op_of(input)?;
        let pending = *self.body.pending().get(&op)?;
        let waits = self.body.failed.is_some() && !matches!(pending, Pending::Secrets { .. });
        (answers(input, pending) && !waits).then_some((op, pending))
    }

    /// An event; one that cancels the run does so even while it is suspended.
    fn heard(&mut self, event: Value) -> bool {
        let Ok(val) = Val::from_json(&event) else { return false };
        if self.body.failed.is_some() {
            return false; // a retry waits for its secrets
        }
        if self.cancel_by(&val) {
            return true;
        }
        if self.body.held.is_some() {
            return self.hold(Input::Signal { event });
        }
        let accepted = self.signal(&val);
        self.work();
        accepted
    }

    fn answer(&mut self, input: Input, pending: Pending) {
        match (input, pending) {
            (Input::Done { value, .. }, Pending::Call { frame }) => match Val::from_json(&value) {
                Ok(answer) => self.called(frame, &answer),
                Err(cut) => self.fail(frame, too_large(cut)),
            },
            (Input::Done { value, .. }, Pending::Secrets { before }) => {
                self.keep_secrets(&Val::from_json(&value).unwrap_or_default());
                self.has_secrets(before);
            }
            (Input::Failed { error, .. }, Pending::Secrets { before }) => {
                self.has_no_secrets(before, error);
            }
            (Input::Done { value, .. }, Pending::Emit { frame }) => match Val::from_json(&value) {
                Ok(event) => self.done(frame, event),
                Err(cut) => self.fail(frame, too_large(cut)),
            },
            (Input::Failed { error, .. }, Pending::Call { frame } | Pending::Emit { frame }) => {
                self.fail(frame, error);
            }
            (Input::Fired { .. }, Pending::Timer { purpose, .. }) => self.due(purpose),
            _ => {}
        }
    }

    fn has_secrets(&mut self, before: Before) {
        match before {
            Before::Start { by_events } => {
                if let Err(fault) = self.shape_and_start(self.body.input.clone()) {
                    self.finish_faulted(Origin::Start { by_events }, fault.at("/input"));
                }
            }
            Before::Retry => self.go_on(),
        }
    }

    fn has_no_secrets(&mut self, before: Before, error: Fault) {
        let fault = error.at("/use/secrets");
        match before {
            Before::Start { by_events } => self.finish_faulted(Origin::Start { by_events }, fault),
            Before::Retry => self.outcome = Some(Outcome::Faulted(fault)),
        }
    }

    fn due(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Wait(frame) => {
                let input = self.frame(frame).map(|frame| frame.input.clone()).unwrap_or_default();
                self.done(frame, input);
            }
            Purpose::Retry(frame) => self.attempt(frame),
            Purpose::AttemptTimeout(frame) => {
                self.attempt_took_too_long(frame);
            }
            Purpose::TaskTimeout(frame) => {
                self.fail(frame, Fault::new(FaultKind::Timeout, "the task took too long"));
            }
            Purpose::RunTimeout => {
                let fault = Fault::new(FaultKind::Timeout, "the workflow took too long");
                self.finish_faulted(Origin::Run, fault.at("/"));
            }
        }
    }

    fn attempt_took_too_long(&mut self, id: FrameId) {
        if let Some(State::Try(trying)) = self.body.frame_mut(id).map(|frame| &mut frame.state) {
            trying.timer = None;
        }
        self.clear_inside(id);
        let reference = self.frame(id).map(|frame| self.task_of(frame).reference.as_str());
        let fault = Fault::new(FaultKind::Timeout, "the attempt took too long").at(reference.unwrap_or("/"));
        match self.is_caught_by(id, &fault) {
            Ok(true) => self.caught(id, fault),
            Ok(false) => self.fail(id, fault),
            Err(failure) => self.fail(id, failure),
        }
    }
}

fn too_large(cut: crate::jq::fuel::CutOff) -> Fault {
    Fault::new(FaultKind::Runtime, format!("the answer cannot be taken in: {}", cut.reason()))
}

/// Whether this kind of input can answer this operation.
fn answers(input: &Input, pending: Pending) -> bool {
    match input {
        Input::Done { .. } | Input::Failed { .. } => {
            matches!(pending, Pending::Call { .. } | Pending::Emit { .. } | Pending::Secrets { .. })
        }
        Input::Fired { .. } => matches!(pending, Pending::Timer { .. }),
        _ => false,
    }
}
