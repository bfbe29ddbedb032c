//! Signals: named messages, and their face as CloudEvents.
//!
//! Invariant: a [`SignalName`] is valid by type; a payload is always a JSON object.
//! Not here: matching signals to workflows, storing them.

use crate::ambient::Millis;
use crate::id::SignalId;
use serde_json::{Map, Value};

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 255;
/// Signals one batch may carry.
pub const BATCH_MAX: usize = 1_000;
/// The largest ingest body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Names the Events API advises against.
pub const GENERIC_NAMES: [&str; 8] =
    ["event", "trigger", "notification", "update", "message", "data", "webhook", "test"];

/// The twelve names that are always in the catalogue, with what they say.
pub const BUILT_IN: [(&str, &str); 12] = [
    ("event.created", "New event created"),
    ("event.updated", "Event details updated"),
    ("event.deleted", "Event deleted"),
    ("event.status_changed", "Event status changed"),
    ("vendor.applied", "Vendor applied to event"),
    ("vendor.confirmed", "Vendor confirmed for event"),
    ("vendor.declined", "Vendor declined"),
    ("sponsor.applied", "Sponsor applied to event"),
    ("sponsor.confirmed", "Sponsor confirmed"),
    ("sponsor.declined", "Sponsor declined"),
    ("task.created", "Task created"),
    ("task.completed", "Task completed"),
];

/// A signal's name: 1–255 letters, digits and `. _ - : /`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalName(String);

/// Why a name was refused.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum BadName {
    /// Nothing, or only blanks.
    #[error("must not be blank")]
    Blank,
    /// More than 255 characters.
    #[error("must have at most 255 characters")]
    Long,
    /// A character outside the allowed set.
    #[error("may contain only letters, digits and . _ - : /")]
    Character,
}

impl SignalName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.trim().is_empty() {
            return Err(BadName::Blank);
        }
        if text.chars().count() > NAME_CHARS_MAX {
            return Err(BadName::Long);
        }
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/');
        if text.chars().all(allowed) { Ok(Self(text.to_owned())) } else { Err(BadName::Character) }
    }

    /// Whether the name says too little to be useful.
    pub fn is_generic(&self) -> bool {
        GENERIC_NAMES.iter().any(|generic| self.0.eq_ignore_ascii_case(generic))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a CloudEvent says beside name and payload.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Attributes(pub Map<String, Value>);

/// A message that was admitted: named, dated and numbered.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its id, `event_id` on the wire.
    pub id: SignalId,
    /// Its name.
    pub name: SignalName,
    /// Always a JSON object.
    pub payload: Map<String, Value>,
    /// The sender's CloudEvents attributes, when it came as one (`source`, `subject`, `id`, …).
    pub attributes: Attributes,
    /// When it was received.
    pub received_at: Millis,
}

/// The `source` of signals that did not bring their own.
pub const SOURCE: &str = "/openevent";

impl Signal {
    /// The signal as workflows see it: a CloudEvents 1.0 object. `id` is ours, so that it is unique;
    /// a sender's own `id` is kept as the extension `originid`.
    pub fn to_cloud_event(&self) -> Value {
        cloud_event(
            self.id.as_str(),
            self.name.as_str(),
            Value::Object(self.payload.clone()),
            &self.attributes,
            self.received_at,
        )
    }
}

/// Builds the CloudEvent of a stored signal.
pub fn cloud_event(
    id: &str,
    name: &str,
    payload: Value,
    attributes: &Attributes,
    received_at: Millis,
) -> Value {
    let mut event = Map::new();
    event.insert("specversion".into(), "1.0".into());
    event.insert("id".into(), id.into());
    event.insert("source".into(), SOURCE.into());
    event.insert("type".into(), name.into());
    event.insert("time".into(), rfc3339(received_at).into());
    event.insert("datacontenttype".into(), "application/json".into());
    for (key, value) in &attributes.0 {
        match key.as_str() {
            "specversion" | "type" | "data" | "data_base64" => {}
            "id" => drop(event.insert("originid".into(), value.clone())),
            _ => drop(event.insert(key.clone(), value.clone())),
        }
    }
    event.insert("data".into(), payload);
    Value::Object(event)
}

/// A time as RFC 3339 with milliseconds, UTC.
pub fn rfc3339(at: Millis) -> String {
    let (days, ms) = (at.div_euclid(86_400_000), at.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Days since 1970-01-01 as year, month, day of the proleptic Gregorian calendar: eras of 400 years
/// (146 097 days) that begin on the first of March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_contract() {
        for good in ["order.created", "a", "x/y:z_1-2", "größe.geändert", &"n".repeat(255)] {
            assert!(SignalName::parse(good).is_ok(), "{good}");
        }
        assert_eq!(SignalName::parse("  "), Err(BadName::Blank));
        assert_eq!(SignalName::parse(&"n".repeat(256)), Err(BadName::Long));
        for bad in ["a b", "a\0", "a,b", "<x>"] {
            assert_eq!(SignalName::parse(bad), Err(BadName::Character), "{bad}");
        }
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(rfc3339(1_735_689_599_999), "2024-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_sender_cannot_replace_what_is_ours() {
        let attributes = Attributes(
            serde_json::from_str(r#"{"id":"theirs","type":"x","subject":"s","source":"/them"}"#).unwrap(),
        );
        let event = cloud_event("ours", "order.created", Value::Object(Map::new()), &attributes, 0);
        assert_eq!(
            (&event["id"], &event["type"], &event["originid"]),
            (&"ours".into(), &"order.created".into(), &"theirs".into())
        );
        assert_eq!((&event["subject"], &event["source"]), (&"s".into(), &"/them".into()));
    }
}
