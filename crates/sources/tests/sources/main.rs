//! Sources against real servers.
//!
//! Invariant: every test has servers, or a database, of its own.

mod channels;
mod leases;
mod notifications;
mod outbox;
mod shop;
mod streams;
mod support;
