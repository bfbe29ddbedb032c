//! What workflows are told by signals.
//!
//! Invariant: whatever comes is taken. A signal that Temporal cannot decode would fail its workflow for ever, so its
//! bytes are taken as they are, and what does not read is dropped with a word in the log.
//! Not here: what follows from a letter (`run`, `dispatcher`).

use serde::Serialize;
use serde::de::DeserializeOwned;
use temporalio_common::data_converters::{PayloadConverter, RawValue};

/// Writes a letter.
pub(crate) fn seal<T: Serialize + 'static>(value: &T) -> RawValue {
    RawValue::from_value(value, &PayloadConverter::serde_json())
}

/// Reads a letter; nothing if it does not read.
pub(crate) fn open<T: DeserializeOwned>(letter: &RawValue, what: &str) -> Option<T> {
    let payload = letter.payloads.first()?;
    match serde_json::from_slice(&payload.data) {
        Ok(read) => Some(read),
        Err(cause) => {
            tracing::warn!(error = %cause, what, "a workflow was told something that does not read");
            None
        }
    }
}
