//! Webhooks out: what is owed is taken in hand, signed, sent and written down.
//!
//! Invariant: what is to be sent is on disk before it is sent, and what became of it is on disk before it is forgotten
//! here; a crash at any instant sends again, with the same id and body. No receiver waits for another.
//! Not here: which signals a webhook gets (the engine's spine), SQL, sockets, HTTP faces.

mod attempt;
mod book;
mod dispatcher;
#[cfg(test)]
mod fixtures;
mod job;
mod keys;
mod lane;
mod record;
mod settings;
mod upkeep;

pub use dispatcher::{Delivery, Herald, Parts};
pub use keys::{KeyError, Keys};
pub use settings::Settings;
