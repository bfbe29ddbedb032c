//! Event filters: which CloudEvents start a run or wake one that listens.
//!
//! Invariant: matching an event costs no I/O and cannot fail; what cannot be evaluated does not match.
//! Not here: waiting for events (`run`).

use std::sync::Arc;

use serde_json::Value;

/// The events that start a run: `schedule.on`.
#[derive(Debug)]
pub struct Trigger {
    filters: Vec<Arc<EventFilter>>,
}

impl Trigger {
    /// Any of these starts a run; an empty list means every event.
    pub fn filters(&self) -> &[Arc<EventFilter>] {
        &self.filters
    }
}

/// One condition on events.
#[derive(Debug, PartialEq)]
pub struct EventFilter {
    event_type: Option<String>,
}

/// The answer of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The event is wanted.
    Yes,
    /// It is not, for this reason.
    No(String),
}

impl EventFilter {
    /// The literal `with.type`, for an index; `None` when events of any type may match.
    pub fn event_type(&self) -> Option<&str> {
        self.event_type.as_deref()
    }

    /// Whether the filter wants a CloudEvent, given as a JSON object.
    pub fn matches(&self, event: &Value) -> Match {
        let _ = event;
        Match::No("not implemented".to_owned())
    }
}
