//! The spine over a real socket: signals in, workflows started, runs shown, on both databases.
//!
//! Invariant: nothing sleeps; a test waits for a run, for the outside, or for the stream.
//! Not here: crashes (the binary's suite), the face's own rules (`tests/face`).

mod api_keys;
mod applications;
mod audit;
mod authorisation;
mod batches;
mod bed;
mod browser;
mod budgets;
mod catalogue;
mod clients;
mod cloud_events;
mod deliveries;
mod demo;
mod directory;
mod driver;
mod egress;
mod event_lists;
mod events;
mod examples;
mod folder;
mod hidden;
mod ingest;
mod isolation;
mod linking;
mod lists;
mod own_api;
mod pages;
mod people;
mod races;
mod relations;
mod runs;
mod secrets;
mod sequences;
mod sessions;
mod sheets;
mod signals;
mod sources;
mod steering;
mod stream;
mod tasks;
mod tenants;
mod users;
mod waiting;
mod webhooks;
mod workflows;
