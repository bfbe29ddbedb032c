//! Durations as operators write them: `250ms`, `15s`, `5m`, `1h`, `30d`.
//!
//! Invariant: the text names its unit; a bare number is refused rather than guessed at.
//! Not here: ISO 8601 durations of the workflow language.

/// Why a duration was not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a duration: write a whole number and ms, s, m, h or d, such as 15s")]
pub struct BadDuration(pub String);

/// Reads a duration into milliseconds.
pub fn parse_ms(text: &str) -> Result<u64, BadDuration> {
    let text = text.trim();
    let bad = || BadDuration(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    let count: u64 = text[..digits].parse().map_err(|_| bad())?;
    count.checked_mul(unit_ms).filter(|ms| i64::try_from(*ms).is_ok()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::parse_ms;

    #[test]
    fn units_are_read_and_nonsense_is_refused() {
        assert_eq!(parse_ms("15s"), Ok(15_000));
        assert_eq!(parse_ms(" 30d "), Ok(2_592_000_000));
        assert_eq!(parse_ms("250ms"), Ok(250));
        for text in ["", "15", "s", "-1s", "1.5h", "1w", "99999999999999999999s", "9223372036854775807d"] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }
}
