//! What the server is about, without a server: ids, tenants, scopes, keys, people, signals, planned events and their rules.
//!
//! Invariant: pure. Nothing here reads a clock, draws a random number or touches I/O; time and chance
//! arrive as parameters through [`ambient`].
//! Not here: SQL, HTTP status codes, the workflow language.

pub mod account;
pub mod ambient;
pub mod api_key;
pub mod duration;
pub mod id;
pub mod inbound;
pub mod json;
pub mod planning;
pub mod rate;
pub mod role;
pub mod scope;
pub mod signal;
pub mod tenant;
pub mod told;
pub mod webhook;
