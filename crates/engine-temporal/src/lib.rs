//! Runs driven by a Temporal cluster: the same definitions, the same interpreter; the cluster's history is the journal
//! that drives, the store's is the one people are shown.
//!
//! Invariant: a workflow here does nothing but hand inputs to a [`Pilot`](openevent_engine::remote::Pilot) and its
//! undertakings to Temporal, in order; everything that could differ the second time is an activity.
//! Not here: the language (`flow`), rows (`store`), who begins and who is offered what (`engine`).

mod activities;
mod attributes;
mod cluster;
mod connection;
mod dispatcher;
mod letters;
mod run;
mod worker;

pub use cluster::Temporal;
pub use connection::{Connection, Credentials, Dispatch, Misconfigured, Tls};
pub use worker::work;

/// For tests of recorded histories.
pub mod replay;
