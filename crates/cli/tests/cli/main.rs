//! The binary from the outside, as scripts use it.
//!
//! Invariant: every test has its own data directory and almost no environment; nothing sleeps, and only
//! processes started here are ended.
//! Not here: the server's behaviour over HTTP (`crates/server`), crashes and load.

mod commands;
mod data;
mod demo;
mod egress;
mod keys;
mod offline;
mod people;
mod secrets;
mod serve;
mod sources;
mod support;
mod tables;
mod webhooks;
