//! From a JSON body to the domain's form, and from its issues to a refusal.
//!
//! Invariant: every mistake of a body is in one refusal.
//! Not here: the fields.

use crate::face::problem::{FieldIssue, Problem};
use openevent_domain::planning::form::Form;
use serde_json::{Map, Value, json};

/// The form in a body.
pub fn form(body: Value) -> Result<Form, Problem> {
    match body {
        Value::Object(fields) => Ok(Form::of(fields)),
        _ => Err(Problem::field("body", "must be a JSON object")),
    }
}

/// The form in a body that may be left out.
pub fn optional(body: Value) -> Result<Form, Problem> {
    if body.is_null() { Ok(Form::of(Map::new())) } else { form(body) }
}

/// Ends reading: the names nobody asked for, or the refusal.
pub fn finish(form: Form) -> Result<Vec<String>, Problem> {
    form.finish().map_err(|issues| Problem::fields(issues.into_iter().map(FieldIssue::from).collect()))
}

/// Refuses a change that mentions nothing.
pub fn check_change(form: &Form) -> Result<(), Problem> {
    if form.is_empty() {
        return Err(Problem::bad_request("The body is an empty object; name the fields to change"));
    }
    Ok(())
}

/// The meta that names fields without effect, when there are any.
pub fn ignored(mut meta: Map<String, Value>, names: &[String]) -> Value {
    if !names.is_empty() {
        meta.insert("ignoredFields".to_owned(), json!(names));
    }
    Value::Object(meta)
}
