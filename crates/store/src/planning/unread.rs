//! Documents as they are stored: what a list shows of them it need not read.
//!
//! Invariant: a stored document is what its type serializes to, so its members may be shown as they stand. Whoever
//! changes how one is serialized has to change what is stored, too.
//! Not here: whose documents, and what is shown beside them.

use crate::Error;
use crate::value::parse;
use openevent_domain::planning::directory::Profile;
use openevent_domain::planning::plan::Plan;
use serde::Serialize;
use serde_json::value::RawValue;

/// A document in a column.
pub trait Document: Sized {
    /// Takes its text.
    fn of(text: String) -> Result<Self, Error>;
}

impl Document for Plan {
    fn of(text: String) -> Result<Self, Error> {
        parse(&text)
    }
}

impl Document for Profile {
    fn of(text: String) -> Result<Self, Error> {
        parse(&text)
    }
}

/// The text of an object with members, unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread(String);

impl Document for Unread {
    fn of(text: String) -> Result<Self, Error> {
        Ok(Self(text))
    }
}

impl Unread {
    /// The object that has the members of `head`, then its own, then those of `tail`.
    pub fn between(&self, head: &impl Serialize, tail: &impl Serialize) -> Result<Box<RawValue>, Error> {
        let corrupt = |cause: serde_json::Error| Error::Corrupt(cause.to_string());
        let head = serde_json::to_string(head).map_err(corrupt)?;
        let tail = serde_json::to_string(tail).map_err(corrupt)?;
        let [head, own, tail] = [&head, &self.0, &tail].map(|object| members(object));
        RawValue::from_string(format!("{{{head},{own},{tail}}}")).map_err(corrupt)
    }
}

/// What stands between the braces.
fn members(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn between(text: &str) -> Result<Box<RawValue>, Error> {
        Unread::of(text.into())?.between(&json!({"id": 1}), &json!({"at": [2]}))
    }

    #[test]
    fn members_are_shown_as_they_stand() {
        let whole = between(r#"{"title":"A \"}\" & ü","deep":{"n":1.50}}"#).expect("an object");
        assert_eq!(whole.get(), r#"{"id":1,"title":"A \"}\" & ü","deep":{"n":1.50},"at":[2]}"#);
    }

    #[test]
    fn what_is_no_object_with_members_is_refused() {
        for text in ["", "{}", "[1]", "{\"title\"}", "{\"title\":\"A}"] {
            assert!(matches!(between(text), Err(Error::Corrupt(_))), "{text}");
        }
    }
}
