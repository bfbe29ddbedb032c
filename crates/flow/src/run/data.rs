//! Small steps of data flow that need no state: faults of expressions and schemas, durations, bounded values.
//!
//! Invariant: whatever goes wrong with data becomes the DSL's error for it. Not here: when data flows (`machine`).

use super::env::Env;
use crate::jq::{self, Cause, Failure, Val};
use crate::model::Data;
use crate::template::Template;
use crate::{Fault, FaultKind, duration};

pub(super) fn evaluated_delay(template: &Template, input: &Val, env: &Env<'_>) -> Result<i64, Fault> {
    let val = template.eval(input, env).map_err(expression)?;
    let ms = match val.as_str() {
        Some(text) => duration::from_iso8601(text),
        None => duration::from_parts(&val.to_json()),
    };
    ms.ok_or_else(|| Fault::new(FaultKind::Expression, format!("{} is not a duration", shorten(&val))))
}

pub(super) fn shorten(val: &Val) -> String {
    let text = val.to_string();
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

pub(super) fn expression(failure: Failure) -> Fault {
    let kind = match failure.1 {
        Cause::Expression => FaultKind::Expression,
        Cause::Denied => FaultKind::Authorization,
    };
    Fault::new(kind, failure.0)
}

/// Builds a value under a budget, as it may become too large.
pub(super) fn assemble(build: impl FnOnce() -> Val) -> Result<Val, Fault> {
    jq::metered(|| Ok(build())).map_err(expression)
}

/// Applies a schema.
pub(super) fn check(data: &Data, val: &Val, what: &str) -> Result<(), Fault> {
    if let Some((kind, reason)) = &data.refused {
        return Err(Fault::new(*kind, reason.clone()));
    }
    let Some(schema) = &data.schema else { return Ok(()) };
    schema.check(&val.to_json()).map_err(|errors| invalid(what, &errors))
}

/// The fault of data that does not fit.
pub(super) fn invalid(what: &str, errors: &[crate::SchemaError]) -> Fault {
    let words = errors.iter().take(5).map(|error| match error.path.as_str() {
        "" => error.issue.clone(),
        path => format!("{path}: {}", error.issue),
    });
    let detail = format!("the {what} does not fit its schema: {}", words.collect::<Vec<_>>().join("; "));
    Fault::new(FaultKind::Validation, detail)
}
