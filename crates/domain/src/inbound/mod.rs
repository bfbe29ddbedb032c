//! Webhooks of others that come in: who signed them, when, and what they are about.
//!
//! Invariant: pure. A preset is data: a rule for the signature, and jq for name, id and payload, so that what an owner
//! writes is of the same kind as what we bring along.
//! Not here: evaluating jq, rows, sockets.

mod preset;
mod rule;

pub use preset::{Mapping, Preset};
pub use rule::{Algorithm, Encoding, Key, Refusal, Rule, Shape, TOLERANCE_MS};
