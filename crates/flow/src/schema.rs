//! JSON Schema 2020-12, compiled once.
//!
//! Invariant: nothing is ever fetched; a schema that refers to another document is refused.
//! Not here: which schema applies to which data (`definition`, `run`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct Schema {
    validator: jsonschema::Validator,
}

/// One way in which a value does not fit a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaError {
    /// JSON pointer into the value, empty for the whole; for a missing property, of that property.
    pub path: String,
    /// What is wrong, in plain words.
    pub issue: String,
}

impl Schema {
    /// Compiles a schema; the error is a sentence for its author.
    pub fn compile(document: &Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(document)
            .map_err(|error| error.to_string())?;
        Ok(Self { validator })
    }

    /// Checks a value and reports every difference, at most [`ERRORS_MAX`] of them.
    pub fn check(&self, value: &Value) -> Result<(), Vec<SchemaError>> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        Err(self
            .validator
            .iter_errors(value)
            .take(ERRORS_MAX)
            .map(|error| SchemaError { path: error.instance_path().to_string(), issue: error.to_string() })
            .collect())
    }
}

/// How many differences one check reports.
pub const ERRORS_MAX: usize = 50;
