//! What goes in and what comes out: the conversation between the interpreter and its driver.
//!
//! Invariant: every operation has a number allotted by the interpreter, equal on every driver and after
//! every restart; answers name it. Not here: how a driver performs, stores or retries commands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventFilter, Fault};

/// One thing that happened to a run. Serialized, this is the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The run begins.
    Started {
        /// What it was given; for `by_events` the array of CloudEvents.
        input: Value,
        /// Identifies the run, shown to expressions as `$workflow.id`.
        run_id: String,
        /// Whether `input` is an array of CloudEvents of a trigger.
        #[serde(default, skip_serializing_if = "is_false")]
        by_events: bool,
    },
    /// A call or an emission was performed.
    Done {
        /// The operation.
        op: u64,
        /// Its result; see [`Call`] and [`Command::Emit`] for the shapes.
        value: Value,
    },
    /// A call or an emission could not be performed.
    Failed {
        /// The operation.
        op: u64,
        /// Why; `instance` is filled in by the interpreter when absent.
        error: Fault,
    },
    /// A timer is due.
    Fired {
        /// The operation.
        op: u64,
    },
    /// A CloudEvent arrived that may be of interest.
    Signal {
        /// The event as a JSON object.
        event: Value,
    },
    /// Somebody ends the run early.
    Cancel,
    /// Somebody pauses the run: timers, signals and answers are kept, nothing new begins.
    Suspend,
    /// Somebody lets a suspended run go on.
    Resume,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One thing the driver must do for a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Call something; answer with `Done` or `Failed`.
    Call {
        /// The operation; with the run's id it makes the idempotency key.
        op: u64,
        /// What to call.
        call: Call,
    },
    /// Answer with `Fired` when the time has come.
    Timer {
        /// The operation.
        op: u64,
        /// Unix milliseconds.
        at: i64,
    },
    /// Hand over, as `Signal`, every event that matches one of the filters.
    Listen {
        /// The operation.
        op: u64,
        /// What the run waits for; an empty list means every event.
        filters: Vec<Arc<EventFilter>>,
        /// When the run began to listen, Unix milliseconds; the driver looks back a while itself.
        since: i64,
    },
    /// Publish an event; answer `Done` with the event as it was sent.
    Emit {
        /// The operation.
        op: u64,
        /// A CloudEvent, without `id` and `time` when the author gave none: the driver completes it.
        event: Value,
    },
    /// A call, timer or listen is no longer wanted; no answer is expected, a late one is ignored.
    Abandon {
        /// The operation.
        op: u64,
    },
    /// The run has ended.
    Finish(Outcome),
}

/// What a run can call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// An HTTP request. `Done` carries `{"status":200,"headers":{…},"body":…,"uri":…}` with header names in
    /// lower case and the body as JSON, or as text where it is not JSON; every status is `Done`.
    Http(HttpCall),
}

/// An HTTP request with everything evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCall {
    /// Upper-case method.
    pub method: String,
    /// The whole address, query included.
    pub uri: String,
    /// Headers as the author gave them, in their order.
    pub headers: Vec<(String, String)>,
    /// Body; a string is sent as it is, anything else as JSON.
    pub body: Option<Value>,
    /// Whether answers of the range 300–399 count as success.
    pub redirect: bool,
    /// What the author wants to see of the answer.
    pub output: HttpOutput,
    /// JSON pointer of the task.
    pub reference: String,
}

/// Which part of an HTTP answer becomes the task's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpOutput {
    /// The deserialized content.
    #[default]
    Content,
    /// The content, base64-encoded.
    Raw,
    /// Request, status, headers and content.
    Response,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With this output.
    Completed(Value),
    /// With an error nobody caught.
    Faulted(Fault),
    /// Because somebody cancelled it.
    Cancelled,
}

/// The phases of the DSL, for runs and for tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// In progress.
    Running,
    /// Paused until a time or an event.
    Waiting,
    /// Paused by somebody.
    Suspended,
    /// Ended early by somebody.
    Cancelled,
    /// Ended by an error.
    Faulted,
    /// Ended well.
    Completed,
}

impl Status {
    /// The DSL's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Faulted => "faulted",
            Self::Completed => "completed",
        }
    }

    /// Whether nothing can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Faulted | Self::Completed)
    }
}

/// The interpreter's answer to one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Whether the input changed anything; only accepted inputs belong in the journal.
    pub accepted: bool,
    /// What to do now, in order.
    pub commands: Vec<Command>,
}
