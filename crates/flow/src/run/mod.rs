//! The interpreter.
//!
//! Invariant: `apply` is total and deterministic: the same inputs at the same times give the same state and
//! commands on every driver. Not here: clocks, storage, sockets.

mod catch;
mod data;
mod env;
mod extend;
mod faults;
mod http;
mod index;
mod inputs;
mod kinds;
mod listen;
mod machine;
mod outside;
mod process;
mod snapshot;
mod state;
mod trace;

use std::collections::BTreeSet;

use crate::{Command, Definition, Input, Outcome, Status, Step, Tracer};
use machine::Machine;
pub(crate) use snapshot::Table;
use state::{Body, Pending};

/// Tasks one input may start; more means that the definition goes round in circles.
pub const TASKS_PER_INPUT_MAX: u32 = 100_000;
/// Jumps back (`then` to this or an earlier task, attempts without a pause) one input may cause.
pub const JUMPS_PER_INPUT_MAX: u32 = 10_000;

/// The state of one run; serialized, it is a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    status: Status,
    body: Option<Box<Body>>,
}

impl Run {
    /// A run that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its phase.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether nothing can follow.
    pub fn is_finished(&self) -> bool {
        self.status.is_final()
    }

    /// `$secrets`: the stand-ins the driver gave, by which it knows them again when they come back in a call.
    pub fn secrets(&self) -> Option<serde_json::Value> {
        self.body.as_ref()?.secrets.as_ref().map(crate::jq::Val::to_json)
    }

    /// Whether [`Input::Retry`] would be accepted: an error ended it, and it did begin.
    pub fn can_be_retried(&self) -> bool {
        self.status == Status::Faulted && self.body.is_some()
    }

    /// Takes in one input at time `now` (Unix milliseconds). Never panics; late, repeated and unknown inputs change
    /// nothing and are not accepted.
    pub fn apply(&mut self, def: &Definition, now: i64, input: Input) -> Step {
        self.step(def, now, input, None)
    }

    /// As [`apply`](Self::apply), and reports the beginnings and ends of tasks.
    pub fn apply_traced(
        &mut self,
        def: &Definition,
        now: i64,
        input: Input,
        tracer: &mut dyn Tracer,
    ) -> Step {
        self.step(def, now, input, Some(tracer))
    }

    fn step<'a>(
        &mut self,
        def: &'a Definition,
        now: i64,
        input: Input,
        tracer: Option<&'a mut dyn Tracer>,
    ) -> Step {
        let is_over = self.is_finished() && !(input == Input::Retry && self.can_be_retried());
        if is_over || !self.fits(def) {
            return Step::default();
        }
        let Some(body) = self.body.take() else { return self.begin(def, now, input, tracer) };
        let mut machine = Machine::new(def, now, body, tracer);
        let accepted = machine.input(input);
        self.settle(machine, accepted)
    }

    fn begin<'a>(
        &mut self,
        def: &'a Definition,
        now: i64,
        input: Input,
        tracer: Option<&'a mut dyn Tracer>,
    ) -> Step {
        match input {
            Input::Started { input, run_id, by_events } => {
                let mut machine =
                    Machine::new(def, now, Box::new(Body::new(run_id, now, crate::jq::Val::Null)), tracer);
                machine.started(&input, by_events);
                self.settle(machine, true)
            }
            Input::Cancel => {
                self.status = Status::Cancelled;
                Step { accepted: true, commands: vec![Command::Finish(Outcome::Cancelled)] }
            }
            _ => Step::default(),
        }
    }

    /// Whether the definition has every task this run is in; another one could not be what it began with.
    fn fits(&self, def: &Definition) -> bool {
        self.body.as_ref().is_none_or(|body| body.index().tasks() <= def.model.tasks.len())
    }

    fn settle(&mut self, machine: Machine<'_>, accepted: bool) -> Step {
        let (body, commands) = machine.into_parts();
        self.status = match commands.last() {
            Some(Command::Finish(Outcome::Completed(_))) => Status::Completed,
            Some(Command::Finish(Outcome::Faulted(_))) => Status::Faulted,
            Some(Command::Finish(Outcome::Cancelled)) => Status::Cancelled,
            _ if body.held.is_some() => Status::Suspended,
            _ if body.is_busy() => Status::Running,
            _ => Status::Waiting,
        };
        let is_kept = !self.is_finished() || (self.status == Status::Faulted && body.failed.is_some());
        self.body = is_kept.then_some(body);
        Step { accepted, commands }
    }

    /// The commands outstanding now, for a driver that has just restored this run.
    pub fn outstanding(&self, def: &Definition) -> Vec<Command> {
        let under_way = self.body.as_ref().filter(|_| !self.is_finished() && self.fits(def));
        under_way.map(|body| outstanding(def, body)).unwrap_or_default()
    }
}

/// What is pending and not answered yet.
fn outstanding(def: &Definition, body: &Body) -> Vec<Command> {
    let held = body.held.as_deref().unwrap_or_default();
    let answered: BTreeSet<u64> = held.iter().filter_map(inputs::op_of).collect();
    // while a retry waits for secrets, everything else does too
    let is_open = |pending: &Pending| body.failed.is_none() || matches!(pending, Pending::Secrets { .. });
    let open = body.pending().iter().filter(|(op, pending)| !answered.contains(op) && is_open(pending));
    open.filter_map(|(op, pending)| pending_command(def, body, *op, *pending)).collect()
}

fn pending_command(def: &Definition, body: &Body, op: u64, pending: Pending) -> Option<Command> {
    let frame = pending.frame().and_then(|frame| body.frames().get(&frame));
    match pending {
        Pending::Timer { at, .. } => Some(Command::Timer { op, at }),
        Pending::Call { .. } => http::command(def, frame?, op),
        Pending::Emit { .. } => match &frame?.state {
            state::State::Emit { event, .. } => Some(Command::Emit { op, event: event.to_json() }),
            _ => None,
        },
        Pending::Listen { .. } => listen::command(def, frame?),
        Pending::Secrets { .. } => Some(outside::secrets(def, op)),
        Pending::Cancel => outside::cancel(def, body, op),
    }
}
