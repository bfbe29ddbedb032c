//! The interpreter.
//!
//! Invariant: `apply` is total and deterministic: the same inputs at the same times give the same state and
//! commands on every driver. Not here: clocks, storage, sockets.

use serde::{Deserialize, Serialize};

use crate::{Command, Definition, Input, Status, Step, Tracer};

/// The state of one run; serialized, it is a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    status: Status,
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

    /// Takes in one input at time `now` (Unix milliseconds). Never panics; late, repeated and unknown inputs change
    /// nothing and are not accepted.
    pub fn apply(&mut self, def: &Definition, now: i64, input: Input) -> Step {
        let _ = (def, now, input);
        Step::default()
    }

    /// As [`apply`](Self::apply), and reports the beginnings and ends of tasks.
    pub fn apply_traced(&mut self, def: &Definition, now: i64, input: Input, tracer: &mut dyn Tracer) -> Step {
        let _ = tracer;
        self.apply(def, now, input)
    }

    /// The commands outstanding now, for a driver that has just restored this run.
    pub fn outstanding(&self, def: &Definition) -> Vec<Command> {
        let _ = def;
        Vec::new()
    }
}
