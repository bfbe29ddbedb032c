//! A workflow definition, ready to run.
//!
//! Invariant: whatever can be checked or compiled ahead of time has been. Not here: reading (`parse`), running (`run`).

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::Model;
use crate::parse::{self, Head};
use crate::{Controls, Documents, Issue, Missing, Schedule, SchemaError, Trigger};

/// A parsed, validated and compiled workflow; share it as `Arc<Definition>`.
#[derive(Debug)]
pub struct Definition {
    document: Value,
    head: Head,
    hash: String,
    trigger: Option<Trigger>,
    schedule: Option<Schedule>,
    controls: Option<Controls>,
    processes: Vec<Issue>,
    pub(crate) model: Model,
}

/// What [`Definition::parse`] found.
#[derive(Debug)]
pub struct Parsed {
    /// The definition.
    pub definition: Definition,
    /// Parts that are valid but not offered here; such a task faults when it is reached.
    pub warnings: Vec<Issue>,
    /// Documents that have to be given to [`Definition::parse_with`]; a task that needs one faults when it is reached.
    pub missing: Vec<Missing>,
}

impl Definition {
    /// Reads YAML or JSON. The error lists every [`Invalid`](crate::IssueKind::Invalid) finding in document order.
    pub fn parse(source: &str) -> Result<Parsed, Vec<Issue>> {
        Self::parse_with(source, &Documents::new())
    }

    /// As [`parse`](Self::parse), with documents from elsewhere. Those may need further ones: get what is
    /// [`missing`](Parsed::missing) and read again, until nothing is.
    pub fn parse_with(source: &str, documents: &Documents) -> Result<Parsed, Vec<Issue>> {
        let reading = parse::read(source, documents)?;
        let hash = hash(&reading.document, documents, &reading.used);
        let parse::Reading {
            document,
            head,
            model,
            trigger,
            schedule,
            controls,
            warnings,
            processes,
            missing,
            ..
        } = reading;
        let definition = Self { document, head, hash, trigger, schedule, controls, processes, model };
        Ok(Parsed { definition, warnings, missing })
    }

    /// `document.namespace`.
    pub fn namespace(&self) -> &str {
        &self.head.namespace
    }

    /// `document.name`.
    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// `document.version`.
    pub fn version(&self) -> &str {
        &self.head.version
    }

    /// `document.title`.
    pub fn title(&self) -> Option<&str> {
        self.head.title.as_deref()
    }

    /// `document.summary`.
    pub fn summary(&self) -> Option<&str> {
        self.head.summary.as_deref()
    }

    /// The definition as JSON.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Hexadecimal SHA-256 of the canonical JSON (members sorted by name, no white space), followed by the addresses
    /// and texts of the documents from elsewhere that are part of it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// `schedule.on`, if events start this workflow.
    pub fn trigger(&self) -> Option<&Trigger> {
        self.trigger.as_ref()
    }

    /// When the clock starts this workflow.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    /// What it says about its runs among each other.
    pub fn controls(&self) -> Option<&Controls> {
        self.controls.as_ref()
    }

    /// Where scripts and shell commands are run. Whether they are offered is for the driver to say; where they are
    /// not, these are findings like [`Parsed::warnings`].
    pub fn processes(&self) -> &[Issue] {
        &self.processes
    }

    /// Checks `input.schema` against the input a run would start with.
    pub fn check_input(&self, input: &Value) -> Result<(), Vec<SchemaError>> {
        self.model.input.schema.as_ref().map_or(Ok(()), |schema| schema.check(input))
    }

    /// Checks `input.schema` for a run these CloudEvents would start: a schema of arrays sees the array, any other
    /// sees the `data` of a single event, because that is what people describe.
    pub fn check_events(&self, events: &[Value]) -> Result<(), Vec<SchemaError>> {
        let Some(schema) = &self.model.input.schema else { return Ok(()) };
        match events {
            [event] if !schema.is_of_arrays() => schema.check(event.get("data").unwrap_or(&Value::Null)),
            events => schema.check(&Value::Array(events.to_vec())),
        }
    }
}

/// Members are sorted here, whatever order the JSON library keeps.
fn hash(document: &Value, documents: &Documents, used: &BTreeSet<String>) -> String {
    let mut hasher = Sha256::new();
    feed(document, &mut hasher);
    for (address, text) in documents.iter().filter(|(address, _)| used.contains(*address)) {
        for part in [address, text] {
            feed(&Value::from(part.as_str()), &mut hasher);
        }
    }
    hex::encode(hasher.finalize())
}

fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Array(items) => {
            hasher.update("[");
            for (index, item) in items.iter().enumerate() {
                hasher.update(if index == 0 { "" } else { "," });
                feed(item, hasher);
            }
            hasher.update("]");
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            hasher.update("{");
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                hasher.update(if index == 0 { "" } else { "," });
                hasher.update(Value::from(name.as_str()).to_string());
                hasher.update(":");
                feed(member, hasher);
            }
            hasher.update("}");
        }
        scalar => hasher.update(scalar.to_string()),
    }
}
