//! Entry points for fuzzers, and for tests that feed arbitrary bytes.
//!
//! Invariant: whatever the bytes, nothing panics, overflows the stack or takes long. Not here: assertions about
//! results; the laws are in the tests.

use serde_json::{Value, json};

use crate::jq::{Expr, Scope, Val};
use crate::{Command, Definition, Input, Run};

/// How many answers a started run is given.
const ANSWERS_MAX: usize = 20;

struct Samples;

impl Scope for Samples {
    fn var(&self, name: &str) -> Val {
        Val::str(name)
    }
}

/// Reads bytes as a definition; if it is one, starts a run and answers its commands.
pub fn definition(data: &[u8]) {
    let source = String::from_utf8_lossy(data);
    let Ok(parsed) = Definition::parse(&source) else { return };
    let def = parsed.definition;
    if let Some(trigger) = def.trigger() {
        for filter in trigger.filters() {
            filter.matches(&json!({"type": "t", "data": {"a": 1}}));
        }
    }
    let mut run = Run::new();
    run.apply(&def, 0, Input::Started { input: sample(), run_id: "run".to_owned(), by_events: false });
    for _ in 0..ANSWERS_MAX {
        let input = match run.outstanding(&def).into_iter().next() {
            Some(Command::Call { op, .. }) => {
                Input::Done { op, value: json!({"status": 200, "body": sample()}) }
            }
            Some(Command::Emit { op, event }) => Input::Done { op, value: event },
            Some(Command::Timer { op, .. }) => Input::Fired { op },
            Some(Command::Listen { op, .. }) => {
                Input::Signal { event: json!({"id": op.to_string(), "type": "t", "data": {}}) }
            }
            _ => return,
        };
        run.apply(&def, 1, input);
    }
}

/// Compiles bytes as an expression; if it is one, evaluates it.
pub fn expression(data: &[u8]) {
    let source = String::from_utf8_lossy(data);
    let Ok(expr) = Expr::compile(&source, &|_| true) else { return };
    let input = Val::from_json(&sample()).unwrap_or_default();
    if let Ok(result) = expr.eval(input, &Samples) {
        let json = result.to_json();
        drop(serde_json::to_string(&json));
    }
}

fn sample() -> Value {
    json!({"a": 1, "b": [1, 2.5, null, "x", {"c": true}], "text": "Hello, World", "n": -3, "big": u64::MAX, "o": {"k": {"z": []}}})
}

/// Reads YAML as the crate reads definitions, for tests that keep their tables in YAML.
pub fn yaml(source: &str) -> Result<Value, String> {
    crate::yaml::read(source).map(|node| node.to_json()).map_err(|issue| issue.to_string())
}
