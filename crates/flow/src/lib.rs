//! A sans-IO interpreter of the CNCF Serverless Workflow DSL 1.0.
//!
//! [`Definition::parse`] turns YAML or JSON into something that can run. A [`Run`] takes in [`Input`]s, each with the
//! time it happened, and answers with [`Command`]s; whoever drives it journals the inputs, performs the commands
//! and hands the answers back. The same inputs always give the same state, so a run is restored by folding its
//! journal, or from a snapshot (serialize the [`Run`]).
//!
//! ```
//! use openevent_flow::{Command, Definition, Input, Outcome, Run};
//! use serde_json::json;
//!
//! let source = r#"
//! document: { dsl: "1.0.3", namespace: demo, name: greet, version: "0.1.0" }
//! do:
//!   - nap: { wait: PT10S }
//!   - greet: { set: { text: "Hello ${ .name }!" } }
//! "#;
//! let definition = Definition::parse(source).expect("a valid definition").definition;
//!
//! let mut run = Run::new();
//! let start = Input::Started { input: json!({"name": "Ada"}), run_id: "run-1".to_owned(), by_events: false };
//! let step = run.apply(&definition, 0, start);
//! assert_eq!(step.commands, [Command::Timer { op: 1, at: 10_000 }]);
//!
//! let step = run.apply(&definition, 10_000, Input::Fired { op: 1 });
//! assert_eq!(step.commands, [Command::Finish(Outcome::Completed(json!({"text": "Hello Ada!"})))]);
//! ```
//!
//! What a driver owes a run: journal the accepted inputs before performing their commands; answer each `Call` and
//! `Emit` once (more often is ignored), fire timers at their time or later, and hand over signals that match a
//! `Listen`. After a restart, [`Run::outstanding`] says what is still to be done. A run that faulted takes
//! [`Input::Retry`] and goes on from what failed; [`Chronicle`] folds a journal into a run and its tasks.
//!
//! Invariant: nothing here reads a clock, draws a random number or does I/O. Not here: drivers, storage, HTTP.

mod chronicle;
mod command;
mod controls;
mod cut;
mod definition;
mod duration;
mod event;
mod expression;
mod fault;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod issue;
mod jq;
mod link;
mod model;
mod parse;
mod resolve;
mod run;
mod schedule;
mod schema;
mod template;
mod trigger;
mod uri;
mod yaml;

pub use chronicle::{Chronicle, history};
pub use command::{
    Authentication, Authority, Call, Child, Client, ClientAuthentication, Code, Command, Encoding, HttpCall,
    HttpOutput, Input, Language, OAuth2, OpenApiCall, Outcome, ProcessCall, Program, Resource, Status, Step,
    Token, Wait,
};
pub use controls::{Concurrency, Controls, Debounce, Idempotency, Keys, Over, Throttle};
pub use definition::{Definition, Parsed};
pub use event::{EventFilter, Match};
pub use expression::Expression;
pub use fault::{Fault, FaultKind};
pub use history::{Happened, Payload, TaskChange, TaskEntry, TaskStart, Tracer};
pub use issue::{Issue, IssueKind};
pub use link::{DEFAULT_CATALOG, Documents, Missing, secret_stand_in};
pub use run::{JUMPS_PER_INPUT_MAX, Run, TASKS_PER_INPUT_MAX};
pub use schedule::Schedule;
pub use schema::{Schema, SchemaError};
pub use trigger::{Gathered, Trigger};
pub use yaml::yaml_to_json;

/// Version of the interpreter's behaviour; a run is replayed only under the number it began with.
pub const SEMANTICS: u32 = 1;
