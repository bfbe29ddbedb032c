//! A workflow definition, ready to run.
//!
//! Invariant: whatever can be checked or compiled ahead of time has been. Not here: running it (`run`).

use serde_json::Value;

use crate::{Issue, SchemaError, Trigger};

/// A parsed, validated and compiled workflow; share it as `Arc<Definition>`.
#[derive(Debug)]
pub struct Definition {
    document: Value,
}

/// What [`Definition::parse`] found.
#[derive(Debug)]
pub struct Parsed {
    /// The definition.
    pub definition: Definition,
    /// Parts that are valid but not offered here; such a task faults when it is reached.
    pub warnings: Vec<Issue>,
}

impl Definition {
    /// Reads YAML or JSON. The error lists every [`Invalid`](crate::IssueKind::Invalid) finding in document order.
    pub fn parse(source: &str) -> Result<Parsed, Vec<Issue>> {
        let _ = source;
        Err(Vec::new())
    }

    /// `document.namespace`.
    pub fn namespace(&self) -> &str {
        ""
    }

    /// `document.name`.
    pub fn name(&self) -> &str {
        ""
    }

    /// `document.version`.
    pub fn version(&self) -> &str {
        ""
    }

    /// `document.title`.
    pub fn title(&self) -> Option<&str> {
        None
    }

    /// `document.summary`.
    pub fn summary(&self) -> Option<&str> {
        None
    }

    /// The definition as JSON.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Hexadecimal SHA-256 of the canonical JSON.
    pub fn hash(&self) -> &str {
        ""
    }

    /// `schedule.on`, if events start this workflow.
    pub fn trigger(&self) -> Option<&Trigger> {
        None
    }

    /// Checks `input.schema` against the input a run would start with.
    pub fn check_input(&self, input: &Value) -> Result<(), Vec<SchemaError>> {
        let _ = input;
        Ok(())
    }

    /// Checks `input.schema` for a run these CloudEvents would start: a schema of arrays sees the array, any other
    /// sees the `data` of a single event, because that is what people describe.
    pub fn check_events(&self, events: &[Value]) -> Result<(), Vec<SchemaError>> {
        let _ = events;
        Ok(())
    }
}
