//! The server face over a real socket and a real SQLite file.
//!
//! Invariant: time stands still unless a test moves it; nothing sleeps.
//! Not here: signals, workflows and runs.

mod bodies;
mod credentials;
mod documents;
mod drain;
mod envelope;
mod event_types;
mod idempotency;
mod pages;
mod rates;
mod shared_rates;
mod support;
