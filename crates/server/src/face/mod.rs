//! The framework every endpoint stands on: credentials, limits, bodies, lists, answers and refusals.
//!
//! Invariant: an endpoint never builds a status line, a header or an envelope by hand; it returns a
//! [`reply::Reply`] or a [`problem::Problem`].
//! Not here: what the endpoints do (`app`), and their paths (`api`).

pub mod access;
pub mod body;
pub mod caller;
pub mod client;
pub mod credential;
pub mod endpoint;
pub mod etag;
pub mod fields;
pub mod gate;
pub mod idempotency;
pub mod keyring;
pub mod list;
pub mod mapping;
pub mod moment;
pub mod openapi;
mod operation_id;
pub mod params;
pub mod problem;
pub mod rates;
pub mod reply;
pub mod request_id;
pub mod session;
pub mod stamp;
pub mod telemetry;
