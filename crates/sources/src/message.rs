//! What a server gave out, and the message it becomes.
//!
//! Invariant: a [`Message`] has a valid name and, as its payload, a JSON object within the limits of the HTTP API.
//! Not here: schemas. The sink asks those.

use crate::naming::Naming;
use openevent_domain::json::{DEPTH_MAX, deeper_than};
use openevent_domain::signal::{BODY_BYTES_MAX, BadName, SignalName};
use serde_json::{Map, Value};

/// The member a payload that is no object is put under.
const VALUE: &str = "value";
/// The member, or field, that says of which type a message is.
const TYPE: &str = "type";
/// Fields of a stream's entry that hold a whole payload.
const PAYLOADS: [&str; 2] = ["payload", "data"];

/// Something that wants to become a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The signal's name.
    pub name: SignalName,
    /// The signal's payload.
    pub payload: Map<String, Value>,
    /// What it is known by within its source. The same however often its server gives it out.
    pub id: String,
    /// The channel, stream or table it came by.
    pub channel: String,
}

/// What a server gave out.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// As of [`Message`].
    pub(crate) id: String,
    /// As of [`Message`].
    pub(crate) channel: String,
    /// Whether it is a message.
    pub(crate) content: Result<Content, Unfit>,
}

/// The part of a message that is in the letter itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) name: SignalName,
    pub(crate) payload: Map<String, Value>,
}

/// Why something can never become a signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Too many bytes.
    #[error("it has more than {BODY_BYTES_MAX} bytes")]
    Large,
    /// Too many brackets in each other.
    #[error("its JSON nests deeper than {DEPTH_MAX} levels")]
    Deep,
    /// No JSON.
    #[error("it is not JSON (line {line}, column {column})")]
    NotJson {
        /// Of the mistake.
        line: usize,
        /// Of the mistake.
        column: usize,
    },
    /// No UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// No name.
    #[error("its name {0}")]
    Name(#[from] BadName),
    /// A name is made of its type, and it has none.
    #[error("it does not say its `type`, which is part of the signal's name")]
    NoType,
    /// Taken out of its stream.
    #[error("it was removed from its stream before it was read")]
    Removed,
}

impl Letter {
    /// The message in it, unless it is unfit.
    pub(crate) fn message(&self) -> Option<Message> {
        let Content { name, payload } = self.content.as_ref().ok()?.clone();
        Some(Message { name, payload, id: self.id.clone(), channel: self.channel.clone() })
    }
}

/// The content of a message that is one text.
pub(crate) fn of_text(naming: &Naming, channel: &str, text: &[u8]) -> Result<Content, Unfit> {
    let payload = payload(text)?;
    let name = naming.name(channel, type_in(&payload))?;
    Ok(Content { name, payload })
}

/// The content of a message that is fields: the JSON of `payload` or `data` when there is nothing beside it but a
/// type, else all of them as texts.
pub(crate) fn of_fields(
    naming: &Naming,
    channel: &str,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<Content, Unfit> {
    if fields.iter().map(|(field, text)| field.len() + text.len()).sum::<usize>() > BODY_BYTES_MAX {
        return Err(Unfit::Large);
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Unfit::NotText);
    let mut texts = Map::new();
    for (field, value) in fields {
        texts.insert(text(field)?, Value::String(text(value)?));
    }
    let payload = whole(&texts).unwrap_or_else(|| texts.clone());
    let kind = type_in(&texts).or_else(|| type_in(&payload));
    let name = naming.name(channel, kind)?;
    Ok(Content { name, payload })
}

/// A payload that is one field.
fn whole(texts: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut others = texts.iter().filter(|(field, _)| *field != TYPE);
    let (field, text) = others.next()?;
    if others.next().is_some() || !PAYLOADS.contains(&field.as_str()) {
        return None;
    }
    payload(text.as_str()?.as_bytes()).ok()
}

/// A text as a payload.
pub(crate) fn payload(text: &[u8]) -> Result<Map<String, Value>, Unfit> {
    if text.len() > BODY_BYTES_MAX {
        return Err(Unfit::Large);
    }
    if deeper_than(text, DEPTH_MAX) {
        return Err(Unfit::Deep);
    }
    let not_json = |cause: serde_json::Error| Unfit::NotJson { line: cause.line(), column: cause.column() };
    Ok(match serde_json::from_slice(text).map_err(not_json)? {
        Value::Object(payload) => payload,
        other => Map::from_iter([(VALUE.to_owned(), other)]),
    })
}

fn type_in(members: &Map<String, Value>) -> Option<&str> {
    members.get(TYPE).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(pairs: &[(&str, &str)]) -> Result<Value, Unfit> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let fields = pairs.iter().map(|(field, text)| (bytes(field), bytes(text))).collect();
        of_fields(&Naming::queue(), "s", fields).map(|content| Value::Object(content.payload))
    }

    #[test]
    fn what_is_no_object_is_put_under_value() {
        assert_eq!(payload(b"[1]").map(Value::Object), Ok(json!({"value": [1]})));
        assert_eq!(payload(b"{\"a\":1}").map(Value::Object), Ok(json!({"a": 1})));
    }

    #[test]
    fn what_can_never_be_a_payload_is_unfit() {
        assert_eq!(payload(b"{\"a\":"), Err(Unfit::NotJson { line: 1, column: 5 }));
        assert_eq!(payload("[".repeat(65).as_bytes()), Err(Unfit::Deep));
        assert_eq!(payload(&vec![b' '; BODY_BYTES_MAX + 1]), Err(Unfit::Large));
    }

    #[test]
    fn one_field_with_json_is_the_payload() {
        assert_eq!(fields(&[("payload", r#"{"a":1}"#)]), Ok(json!({"a": 1})));
        assert_eq!(fields(&[("type", "t"), ("data", "7")]), Ok(json!({"value": 7})));
        assert_eq!(fields(&[("payload", "plain")]), Ok(json!({"payload": "plain"})));
        assert_eq!(fields(&[("data", "1"), ("x", "y")]), Ok(json!({"data": "1", "x": "y"})));
        assert_eq!(fields(&[("a", "1")]), Ok(json!({"a": "1"})));
    }

    #[test]
    fn the_type_is_a_field_or_a_member() {
        let naming = Naming::parse("{channel}.{type}").unwrap();
        let text = of_text(&naming, "orders", br#"{"type":"created"}"#).unwrap();
        let fields =
            vec![(b"type".to_vec(), b"paid".to_vec()), (b"data".to_vec(), br#"{"type":"x"}"#.to_vec())];
        let entry = of_fields(&naming, "orders", fields).unwrap();
        assert_eq!((text.name.as_str(), entry.name.as_str()), ("orders.created", "orders.paid"));
    }

    #[test]
    fn bytes_that_are_no_text_are_unfit() {
        let entry = of_fields(&Naming::queue(), "s", vec![(b"a".to_vec(), vec![0xff])]);
        assert_eq!(entry, Err(Unfit::NotText));
    }
}
