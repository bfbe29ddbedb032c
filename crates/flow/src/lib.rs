//! A sans-IO interpreter of the CNCF Serverless Workflow DSL 1.0.
//!
//! [`Definition::parse`] turns YAML or JSON into something that can run. A [`Run`] takes in [`Input`]s, each with the
//! time it happened, and answers with [`Command`]s; whoever drives it journals the inputs, performs the commands
//! and hands the answers back. The same inputs always give the same state, so a run is restored by folding its
//! journal or from a snapshot (serialize the [`Run`]).
//!
//! Invariant: nothing here reads a clock, draws a random number or does I/O. Not here: drivers, storage, HTTP.

mod command;
mod definition;
mod duration;
mod event;
mod fault;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod issue;
mod jq;
mod model;
mod parse;
mod run;
mod schema;
mod template;
mod uri;
mod yaml;

pub use command::{Call, Command, HttpCall, HttpOutput, Input, Outcome, Status, Step};
pub use definition::{Definition, Parsed};
pub use event::{EventFilter, Match, Trigger};
pub use fault::{Fault, FaultKind};
pub use history::{TaskEntry, TaskStart, Tracer, history};
pub use issue::{Issue, IssueKind};
pub use run::{JUMPS_PER_INPUT_MAX, Run, TASKS_PER_INPUT_MAX};
pub use schema::{Schema, SchemaError};

/// Version of the interpreter's behaviour; a run is replayed only under the number it began with.
pub const SEMANTICS: u32 = 1;
