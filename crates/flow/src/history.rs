//! What a run tells about its tasks while inputs are applied, and a task as people see it.
//!
//! Invariant: telling changes nothing, and running pays nothing for it when nobody listens. Not here: the interpreter,
//! and what is remembered (`chronicle`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jq::Val;
use crate::{Fault, Status};

/// Hears what tasks do while inputs are applied.
pub trait Tracer {
    /// A task instance begins; one that is known already begins again, because its run was retried.
    fn started(&mut self, start: &TaskStart<'_>, now: i64);

    /// A task instance reached another phase.
    fn changed(&mut self, change: &TaskChange<'_>, now: i64);

    /// A `listen` began to wait for events.
    fn correlating(&mut self, now: i64) {
        let _ = now;
    }

    /// A `listen` has its events; `keys` are the values that link them, by name.
    fn correlated(&mut self, keys: &[(String, Value)], now: i64) {
        let _ = (keys, now);
    }
}

/// How a task instance begins.
#[derive(Clone, Debug)]
pub struct TaskStart<'t> {
    /// Tells instances apart.
    pub instance: u64,
    /// The instance it is inside of.
    pub parent: Option<u64>,
    /// The attempt of a `try` it belongs to, from 1.
    pub parent_attempt: u32,
    /// The round of a `for` or `foreach` it belongs to, from 0.
    pub round: u32,
    /// The task's name.
    pub name: &'t str,
    /// JSON pointer of the task.
    pub reference: &'t str,
    /// What it is given.
    pub input: &'t Payload,
}

/// What became of a task instance.
#[derive(Clone, Debug)]
pub struct TaskChange<'t> {
    /// The instance.
    pub instance: u64,
    /// The task's name.
    pub name: &'t str,
    /// JSON pointer of the task.
    pub reference: &'t str,
    /// What happened.
    pub happened: Happened<'t>,
}

/// What can happen to a task after it began.
#[derive(Clone, Copy, Debug)]
pub enum Happened<'t> {
    /// It waits for a time or an event.
    Waits,
    /// Somebody paused its run.
    Suspended,
    /// Somebody let its run go on; it is in this phase again.
    Resumed(Status),
    /// A `try` makes another attempt, or its run was retried and it goes on in this phase.
    Retried(Status),
    /// It was ended early.
    Cancelled,
    /// It ended by this error.
    Faulted(&'t Fault),
    /// It ended with this output.
    Completed(&'t Payload),
}

impl Happened<'_> {
    /// The phase it is in now.
    pub fn status(&self) -> Status {
        match self {
            Self::Waits => Status::Waiting,
            Self::Suspended => Status::Suspended,
            Self::Resumed(status) | Self::Retried(status) => *status,
            Self::Cancelled => Status::Cancelled,
            Self::Faulted(_) => Status::Faulted,
            Self::Completed(_) => Status::Completed,
        }
    }
}

/// Data of a run, made into JSON only when somebody wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload(pub(crate) Val);

impl Payload {
    /// The data.
    pub fn to_json(&self) -> Value {
        self.0.to_json()
    }
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
    /// What it was given; data above about 64 KiB is `{"cut": "the first 1 KiB of its JSON…"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What it gave, cut like `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}
