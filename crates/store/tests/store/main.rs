//! The store from the outside, every scenario on SQLite and on PostgreSQL.
//!
//! Invariant: a test has its own database; nothing sleeps, and nothing depends on order.
//! Not here: a full disk (`tests/disk_full.rs`): its limit holds for a whole process.

mod audit;
mod catalogue;
mod faults;
mod groups;
mod keeping;
mod keys;
mod leases;
mod long_lists;
mod nodes;
mod notices;
mod plans;
mod postgres_away;
mod rates;
mod run_requests;
mod runs;
mod schema;
mod searches;
mod secrets;
mod signals;
mod sqlite_away;
mod support;
mod text;
mod upgrades;
mod webhooks;
mod workflow_state;
