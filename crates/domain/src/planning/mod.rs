//! Planning gatherings: what an event is, how it changes, and what may hang on it.
//!
//! Invariant: pure, like the rest of the crate; a value of a type in here is valid, however it was made.
//! Not here: who may plan, where plans are kept, HTTP.

pub mod application;
pub mod budget;
pub mod calendar;
pub mod demo;
pub mod directory;
pub mod event;
pub mod form;
pub mod money;
pub mod plan;
pub mod relation;
pub mod search;
pub mod sheet;
pub mod status;
pub mod task;
pub mod zone;
