//! Use cases: what the endpoints do, without HTTP.
//!
//! Invariant: a use case reads, decides, and submits one write set.
//! Not here: paths, headers, query strings.

pub mod announce;
pub mod applications;
pub mod audit;
pub mod budget;
pub mod calendar;
pub mod demo;
pub mod directory;
pub mod event_types;
pub mod events;
pub mod folder;
pub mod forms;
pub mod health;
pub mod hooks;
pub mod intake;
pub mod keys;
pub mod parts;
pub mod passwords;
pub mod projects;
pub mod public;
pub mod relations;
pub mod runs;
pub mod schema_book;
pub mod secrets;
pub mod sessions;
pub mod setup;
pub mod sheet;
pub mod signals;
pub mod sources;
pub mod steering;
pub mod stream;
pub mod tasks;
pub mod users;
pub mod webhooks;
pub mod workflows;
