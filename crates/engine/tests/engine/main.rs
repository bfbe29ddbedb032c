//! The engine from the outside: signals go in through the spine, a receiver sees what runs call, the store
//! says how they ended. On SQLite and on PostgreSQL.
//!
//! Invariant: a test waits for what happens, never for time to pass.
//! Not here: the language (`flow`), HTTP (`server`).

mod calls;
mod children;
mod clockwork;
mod events;
mod faults;
mod gates;
mod gathering;
mod lifecycle;
mod long;
mod nodes;
mod restart;
mod simulated;
mod starting;
mod support;

/// Whether runs are driven by a cluster rather than in this process.
const ON_A_CLUSTER: bool = false;
