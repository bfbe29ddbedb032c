//! JSON Schema 2020-12, compiled once.
//!
//! Invariant: nothing is ever fetched; a schema that refers to another document is refused.
//! Not here: which schema applies to which data (`definition`, `run`).

use jsonschema::error::ValidationErrorKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many differences one check reports.
const ERRORS_MAX: usize = 50;

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct Schema {
    validator: jsonschema::Validator,
    of_arrays: bool,
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
        if let Some(reference) = remote_reference(document) {
            return Err(format!("'{reference}' refers to another document, which is not fetched"));
        }
        jsonschema::meta::validate(document).map_err(|error| error.to_string())?;
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(document)
            .map_err(|error| error.to_string())?;
        Ok(Self { validator, of_arrays: describes_arrays(document) })
    }

    /// Checks a value; the error lists the differences, at most fifty.
    pub fn check(&self, value: &Value) -> Result<(), Vec<SchemaError>> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        Err(self.validator.iter_errors(value).take(ERRORS_MAX).map(|error| describe(&error)).collect())
    }

    /// Whether the schema is about arrays, as told by `type` or a keyword only arrays have.
    pub(crate) fn is_of_arrays(&self) -> bool {
        self.of_arrays
    }
}

fn describe(error: &jsonschema::ValidationError<'_>) -> SchemaError {
    let path = error.instance_path().to_string();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default().replace('~', "~0").replace('/', "~1");
            SchemaError { path: format!("{path}/{name}"), issue: "field is required".to_owned() }
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            SchemaError { path, issue: format!("has fields that are not allowed: {}", unexpected.join(", ")) }
        }
        _ => SchemaError { path, issue: error.to_string() },
    }
}

fn describes_arrays(document: &Value) -> bool {
    let typed = match document.get("type") {
        Some(Value::String(name)) => name == "array",
        Some(Value::Array(names)) => names.iter().any(|name| name == "array"),
        _ => false,
    };
    typed || ["items", "prefixItems", "contains"].iter().any(|keyword| document.get(keyword).is_some())
}

/// The first reference that leaves the document. Well-known meta schemas are built in.
fn remote_reference(document: &Value) -> Option<String> {
    match document {
        Value::Object(members) => {
            let own = ["$ref", "$dynamicRef"].iter().find_map(|name| members.get(*name)?.as_str()).filter(
                |reference| {
                    !reference.starts_with('#')
                        && !reference.starts_with("https://json-schema.org/draft/2020-12/")
                },
            );
            own.map(str::to_owned).or_else(|| members.values().find_map(remote_reference))
        }
        Value::Array(items) => items.iter().find_map(remote_reference),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_missing_field_is_named_by_its_path() {
        let schema = Schema::compile(&json!({"type": "object", "required": ["id"],
            "properties": {"item": {"type": "object", "required": ["a/b"]}, "n": {"type": "integer"}}}));

        let errors = schema.and_then(|schema| {
            schema
                .check(&json!({"item": {}, "n": "x"}))
                .map_err(|errors| serde_json::to_string(&errors).unwrap())
        });

        let errors: Vec<SchemaError> = serde_json::from_str(&errors.expect_err("three differences")).unwrap();
        let find =
            |path: &str| errors.iter().find(|error| error.path == path).map(|error| error.issue.as_str());
        assert_eq!(find("/id"), Some("field is required"));
        assert_eq!(find("/item/a~1b"), Some("field is required"));
        assert_eq!(find("/n"), Some("\"x\" is not of type \"integer\""));
    }

    #[test]
    fn other_documents_are_refused() {
        assert!(Schema::compile(&json!({"$ref": "https://example.com/schema.json"})).is_err());
        assert!(Schema::compile(&json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}})).is_err());
        assert!(Schema::compile(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})).is_ok());
    }

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let circles = [
            json!({"$ref": "#"}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"anyOf": [{"$ref": "#"}, {"type": "string"}]}),
            json!({"not": {"$ref": "#"}}),
            json!({"$dynamicRef": "#x", "$dynamicAnchor": "x"}),
            json!({"$id": "https://example.com/a", "allOf": [{"$ref": "#/allOf/0"}]}),
        ];
        for circle in circles {
            if let Ok(schema) = Schema::compile(&circle) {
                let _ = schema.check(&json!({"a": [1]}));
            }
        }
        let tree = Schema::compile(&json!({"type": "object", "additionalProperties": {"$ref": "#"}}));
        assert!(tree.is_ok_and(
            |tree| tree.check(&json!({"a": {"b": {}}})).is_ok() && tree.check(&json!({"a": 1})).is_err()
        ));
    }

    #[test]
    fn wrong_schemas_are_refused() {
        assert!(Schema::compile(&json!({"type": "strin"})).is_err());
        assert!(Schema::compile(&json!({"minimum": "1"})).is_err());
        assert!(Schema::compile(&json!(5)).is_err());
    }

    #[test]
    fn schemas_of_arrays_are_told_from_others() {
        for document in [json!({"type": "array"}), json!({"type": ["array", "null"]}), json!({"items": {}})] {
            assert!(Schema::compile(&document).is_ok_and(|schema| schema.is_of_arrays()));
        }
        assert!(Schema::compile(&json!({"type": "object"})).is_ok_and(|schema| !schema.is_of_arrays()));
    }
}
