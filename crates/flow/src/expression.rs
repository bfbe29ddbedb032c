//! One jq expression on its own, for what asks a question of a value outside of a definition.
//!
//! Invariant: as everywhere, an evaluation ends after a bounded number of steps and gives the same result everywhere.
//! Not here: where such expressions stand.

use serde_json::Value;

use crate::jq::{Expr, Scope, Val};

/// A compiled expression.
#[derive(Debug)]
pub struct Expression(Expr);

/// What is known by name.
struct Named<'a>(&'a [(&'a str, &'a Value)]);

impl Scope for Named<'_> {
    fn var(&self, name: &str) -> Val {
        let named = self.0.iter().find(|(known, _)| *known == name);
        named.and_then(|(_, value)| Val::from_json(value).ok()).unwrap_or_default()
    }
}

impl Expression {
    /// Compiles it; it may use these variables. The error is in words for its author.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, String> {
        Expr::compile(source, &|name| variables.contains(&name)).map(Self)
    }

    /// Its result: no output is null, several are an array.
    pub fn eval(&self, input: &Value, variables: &[(&str, &Value)]) -> Result<Value, String> {
        let input = Val::from_json(input).map_err(|cut| cut.reason().to_owned())?;
        self.0.eval(input, &Named(variables)).map(|val| val.to_json()).map_err(|failure| failure.0)
    }

    /// Whether its result counts as true: neither null nor false. What cannot be evaluated does not.
    pub fn holds(&self, input: &Value) -> bool {
        !matches!(self.eval(input, &[]), Ok(Value::Null | Value::Bool(false)) | Err(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_expression_holds_unless_it_is_null_false_or_fails() {
        let input = json!({"status": "active", "n": 3});
        for (source, holds) in [
            (".status == \"active\"", true),
            (".n > 5", false),
            (".missing", false),
            (".n", true),
            (".status.deeper", false),
            ("empty", false),
        ] {
            assert_eq!(Expression::compile(source, &[]).unwrap().holds(&input), holds, "{source}");
        }
    }

    #[test]
    fn what_is_no_expression_or_asks_for_a_variable_is_refused() {
        for source in [".a[", "$secrets.key", "nothing(1)"] {
            assert!(Expression::compile(source, &["headers"]).is_err(), "{source}");
        }
    }

    #[test]
    fn variables_have_the_values_they_are_given() {
        let headers = json!({"x-topic": "orders/create"});
        let expression = Expression::compile("$headers[\"x-topic\"] + .suffix", &["headers"]).unwrap();

        let result = expression.eval(&json!({"suffix": "!"}), &[("headers", &headers)]);

        assert_eq!(result, Ok(json!("orders/create!")));
    }
}
