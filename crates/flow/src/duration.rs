//! Durations: ISO 8601 text and the inline form.
//!
//! Invariant: a duration is a whole, non-negative number of milliseconds that fits any clock arithmetic.
//! Not here: expressions that give a duration (`model`).

use serde_json::Value;

/// About 10 000 years, so that adding to a time cannot overflow.
const MS_MAX: i64 = 316_000_000_000_000;

const SECOND: f64 = 1_000.0;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Reads `P1DT2H`-like text; a year counts 365 days and a month 30, as there is no calendar here.
pub(crate) fn from_iso8601(text: &str) -> Option<i64> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if rest.is_empty() {
        return None;
    }
    let days = sum(date, &[('Y', 365.0 * DAY), ('M', 30.0 * DAY), ('W', 7.0 * DAY), ('D', DAY)])?;
    let clock = sum(time, &[('H', HOUR), ('M', MINUTE), ('S', SECOND)])?;
    to_ms(days + clock)
}

/// Adds up `1Y2M…`, units in their order and each at most once.
fn sum(text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    let mut units = units.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (amount, unit) = (&rest[..end], rest[end..].chars().next()?);
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        total += decimal(amount)? * size;
        rest = &rest[end + 1..];
    }
    Some(total)
}

fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if digits(whole) && digits(fraction) { text.parse().ok() } else { None }
}

/// Reads `{days, hours, minutes, seconds, milliseconds}`.
pub(crate) fn from_parts(value: &Value) -> Option<i64> {
    let parts = value.as_object().filter(|parts| !parts.is_empty())?;
    let mut total = 0.0;
    for (name, amount) in parts {
        let size = match name.as_str() {
            "days" => DAY,
            "hours" => HOUR,
            "minutes" => MINUTE,
            "seconds" => SECOND,
            "milliseconds" => 1.0,
            _ => return None,
        };
        total += amount.as_f64()? * size;
    }
    to_ms(total)
}

fn to_ms(total: f64) -> Option<i64> {
    (total.is_finite() && (0.0..=MS_MAX as f64).contains(&total)).then(|| total.round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn iso_8601_is_read() {
        let cases = [
            ("PT30S", Some(30_000)),
            ("P1D", Some(86_400_000)),
            ("P1W", Some(604_800_000)),
            ("P1DT2H3M4.5S", Some(93_784_500)),
            ("PT0.25S", Some(250)),
            ("PT0S", Some(0)),
            ("P", None),
            ("PT", None),
            ("30S", None),
            ("PT-1S", None),
            ("PT1S1M", None),
            ("P1H", None),
            ("PT1", None),
            ("PT1e3S", None),
            ("P99999999Y", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(from_iso8601(text), expected, "{text}");
        }
    }

    #[test]
    fn inline_parts_add_up() {
        assert_eq!(from_parts(&json!({"hours": 1, "milliseconds": 5})), Some(3_600_005));
        assert_eq!(from_parts(&json!({})), None);
        assert_eq!(from_parts(&json!({"weeks": 1})), None);
        assert_eq!(from_parts(&json!({"seconds": -1})), None);
        assert_eq!(from_parts(&json!({"days": 1e300})), None);
    }
}
