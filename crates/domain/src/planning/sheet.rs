//! Cells of a table: JSON values of the API as texts a spreadsheet shows, and back.
//!
//! Invariant: what [`write`] made of a value, [`read`] gives back; no cell that was written is run as a formula.
//! Not here: quotes and commas (RFC 4180), which columns there are.

use crate::ambient::Millis;
use crate::signal::rfc3339;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A time: RFC 3339 here, milliseconds in JSON.
    Time,
    /// True or false.
    Flag,
    /// Texts, joined by `; `; a JSON list where that could be misread.
    Texts,
    /// Anything else, as JSON.
    Json,
}

/// Beginnings that make spreadsheets run a cell, and our own sign that one was made harmless.
const RISKY: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];
const SIGN: char = '\'';
const JOINT: &str = "; ";

/// The cell of a value; absent and `null` are empty.
pub fn write(value: &Value, kind: Kind) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::Time, Value::Number(_)) => value.as_i64().map_or_else(|| value.to_string(), rfc3339),
        (Kind::Texts, Value::Array(items)) => harmless(joined(items).unwrap_or_else(|| value.to_string())),
        (_, Value::String(text)) if kind != Kind::Json => harmless(text.clone()),
        _ => value.to_string(),
    }
}

/// The value of a cell; an empty one is `null`. What does not read as its kind comes back as a text, so that whoever
/// reads the field can say what is wrong with it.
pub fn read(cell: &str, kind: Kind) -> Value {
    let trimmed = cell.trim();
    if trimmed.is_empty() {
        return Value::Null;
    }
    match kind {
        Kind::Text => unharmed(cell).into(),
        Kind::Number => number(unharmed(trimmed)),
        Kind::Time => time(unharmed(trimmed)).map_or_else(|| number(unharmed(trimmed)), Value::from),
        Kind::Flag if trimmed.eq_ignore_ascii_case("true") => true.into(),
        Kind::Flag if trimmed.eq_ignore_ascii_case("false") => false.into(),
        Kind::Flag => trimmed.into(),
        Kind::Texts => texts(unharmed(cell).trim()),
        Kind::Json => serde_json::from_str(trimmed).unwrap_or_else(|_| trimmed.into()),
    }
}

/// A text with a sign before it if a spreadsheet would run it, or if it could be taken for one that has our sign.
fn harmless(text: String) -> String {
    if text.starts_with(RISKY) { format!("{SIGN}{text}") } else { text }
}

/// The text without our sign.
fn unharmed(cell: &str) -> &str {
    cell.strip_prefix(SIGN).filter(|rest| rest.starts_with(RISKY)).unwrap_or(cell)
}

/// Texts in one cell; `None` when they could not be told apart again.
fn joined(items: &[Value]) -> Option<String> {
    let plain = |item: &'_ Value| {
        let text = item.as_str()?;
        let is_plain = !text.is_empty() && text.trim() == text && !text.contains(';');
        is_plain.then(|| text.to_owned())
    };
    let texts = items.iter().map(plain).collect::<Option<Vec<_>>>()?;
    let joined = texts.join(JOINT);
    (!joined.starts_with('[')).then_some(joined)
}

fn texts(cell: &str) -> Value {
    if cell.starts_with('[') {
        return serde_json::from_str(cell).unwrap_or_else(|_| cell.into());
    }
    cell.split(';').map(str::trim).filter(|text| !text.is_empty()).map(Value::from).collect()
}

fn number(text: &str) -> Value {
    serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| text.into(), Value::Number)
}

/// A time as RFC 3339, or as a day or a day and a time in UTC.
fn time(text: &str) -> Option<Millis> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let at = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    at.or_else(day).map(|at| at.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::zone::{EARLIEST, LATEST};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_cell_that_would_be_run_is_made_harmless_and_reads_back() {
        for text in ["=1+1", "+49 30", "-5 %", "@home", "'=x", "'quoted'", "''", "plain", "a=b"] {
            let cell = write(&json!(text), Kind::Text);
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
            assert_eq!(read(&cell, Kind::Text), json!(text));
        }
        assert_eq!(read("'tis", Kind::Text), json!("'tis"), "what others wrote stays as it is");
    }

    #[test]
    fn times_are_read_in_the_ways_people_write_them() {
        let noon = 1_735_732_800_000_i64;
        for text in ["2025-01-01T12:00:00Z", "2025-01-01T13:00:00+01:00", "2025-01-01 12:00", "1735732800000"]
        {
            assert_eq!(read(text, Kind::Time), json!(noon), "{text}");
        }
        assert_eq!(read("2025-01-01", Kind::Time), json!(noon - 43_200_000));
        assert_eq!(read("tomorrow", Kind::Time), json!("tomorrow"));
    }

    #[test]
    fn lists_are_joined_unless_they_could_be_misread() {
        assert_eq!(write(&json!(["a", "b c"]), Kind::Texts), "a; b c");
        assert_eq!(write(&json!(["a;b"]), Kind::Texts), r#"["a;b"]"#);
        assert_eq!(read("a ;b;; c", Kind::Texts), json!(["a", "b", "c"]));
        assert_eq!(read("[oops", Kind::Texts), json!("[oops"));
    }

    /// Texts as the API keeps them: trimmed and not blank.
    fn text() -> impl Strategy<Value = String> {
        let parts = prop_oneof!["\\PC{1,6}", "[=+@\\-'\\[\\];,\"\n\r\t ]{1,3}"];
        proptest::collection::vec(parts, 1..5)
            .prop_map(|parts| parts.concat().trim().to_owned())
            .prop_filter("not blank", |text| !text.is_empty())
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(
            one in text(),
            many in proptest::collection::vec(text(), 1..4),
            at in EARLIEST..=LATEST,
            thousandths in 0..1_000_000_000_i64,
            flag in any::<bool>(),
        ) {
            let amount: Value = serde_json::from_str(&format!("{}.{:03}", thousandths / 1000, thousandths % 1000)).unwrap();
            for (value, kind) in [
                (json!(one), Kind::Text),
                (json!(many), Kind::Texts),
                (json!(at), Kind::Time),
                (amount, Kind::Number),
                (json!(flag), Kind::Flag),
                (json!({"a": many}), Kind::Json),
            ] {
                let cell = write(&value, kind);
                prop_assert_eq!(read(&cell, kind), value, "{}", cell);
                prop_assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "{}", cell);
            }
        }
    }
}
