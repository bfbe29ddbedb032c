//! Reading the fields of a JSON object one by one, gathering every mistake.
//!
//! Invariant: a handler that called [`Fields::finish`] has either valid values or one refusal naming every
//! wrong field. Text holds no NUL, which PostgreSQL could not store.
//! Not here: rules between fields.

use super::problem::{FieldIssue, Problem};
use serde_json::{Map, Value};

/// The fields of an object, taken out one after another.
#[derive(Debug)]
pub struct Fields {
    left: Map<String, Value>,
    issues: Vec<FieldIssue>,
}

/// A field of a PATCH: not mentioned, cleared with `null`, or set.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<T> {
    /// Not mentioned.
    Keep,
    /// `null`.
    Clear,
    /// A value.
    Set(T),
}

impl Fields {
    /// Takes an object; anything else is refused.
    pub fn of(body: Value) -> Result<Self, Problem> {
        match body {
            Value::Object(left) => Ok(Self { left, issues: Vec::new() }),
            _ => Err(Problem::field("body", "must be a JSON object")),
        }
    }

    /// Whether nothing was sent at all.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// A field's value as it is; absent and `null` are equal.
    pub fn any(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// A text, trimmed, of at most `chars_max` characters; blank is refused.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let value = self.any(name)?;
        self.read_text(name, &value, chars_max)
    }

    /// The same, and it has to be there.
    pub fn required_text(&mut self, name: &str, chars_max: usize) -> String {
        let Some(value) = self.any(name) else {
            self.refuse(name, "field is required");
            return String::new();
        };
        self.read_text(name, &value, chars_max).unwrap_or_default()
    }

    /// A text in a PATCH.
    pub fn text_change(&mut self, name: &str, chars_max: usize) -> Change<String> {
        match self.left.remove(name) {
            None => Change::Keep,
            Some(Value::Null) => Change::Clear,
            Some(value) => self.read_text(name, &value, chars_max).map_or(Change::Keep, Change::Set),
        }
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let value = self.any(name)?;
        let number = value.as_i64().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.refuse(name, format!("must be a whole number from {min} to {max}"));
        }
        number
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &str, count_max: usize) -> Option<Vec<String>> {
        let value = self.any(name)?;
        let Value::Array(items) = value else {
            self.refuse(name, "must be a list of texts");
            return None;
        };
        let count = items.len();
        let texts: Vec<_> = items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
        if texts.len() != count || count > count_max {
            self.refuse(name, format!("must be a list of at most {count_max} texts"));
            return None;
        }
        Some(texts)
    }

    /// A JSON object.
    pub fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        if let Value::Object(object) = self.any(name)? {
            return Some(object);
        }
        self.refuse(name, "must be an object");
        None
    }

    /// Notes a mistake.
    pub fn refuse(&mut self, name: &str, issue: impl Into<String>) {
        self.issues.push(FieldIssue::new(name, issue));
    }

    /// Ends reading: the names nobody asked for, or the refusal.
    pub fn finish(self) -> Result<Vec<String>, Problem> {
        if self.issues.is_empty() {
            Ok(self.left.into_iter().map(|(name, _)| name).collect())
        } else {
            Err(Problem::fields(self.issues))
        }
    }

    fn read_text(&mut self, name: &str, value: &Value, chars_max: usize) -> Option<String> {
        let Some(text) = value.as_str().map(str::trim) else {
            self.refuse(name, "must be a text");
            return None;
        };
        let issue = if text.is_empty() {
            "must not be blank".to_owned()
        } else if text.contains('\0') {
            "must not contain NUL".to_owned()
        } else if text.chars().count() > chars_max {
            format!("must have at most {chars_max} characters")
        } else {
            return Some(text.to_owned());
        };
        self.refuse(name, issue);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut fields =
            Fields::of(json!({"a": 1, "b": " ", "c": "gr\u{fc}n ", "d": "x\u{0}", "e": 7})).unwrap();
        assert_eq!((fields.text("a", 5), fields.text("b", 5), fields.text("d", 5)), (None, None, None));
        assert_eq!(fields.text("c", 4), Some("gr\u{fc}n".to_owned()));
        let _ = (fields.required_text("z", 5), fields.integer("e", 0, 3));
        let problem = fields.finish().unwrap_err();
        let text = String::from_utf8(problem.envelope().to_vec()).unwrap();
        for field in ["\"a\"", "\"b\"", "\"d\"", "\"z\"", "\"e\""] {
            assert!(text.contains(field), "{text}");
        }
    }

    #[test]
    fn null_clears_and_unknown_names_come_back() {
        let mut fields = Fields::of(json!({"a": null, "odd": 1})).unwrap();
        assert_eq!(fields.text_change("a", 5), Change::Clear);
        assert_eq!(fields.text_change("b", 5), Change::Keep);
        assert_eq!(fields.finish().unwrap(), ["odd"]);
        assert!(Fields::of(json!([])).is_err());
    }
}
