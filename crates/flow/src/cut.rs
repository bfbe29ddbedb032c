//! Data of a history, cut when it is large.
//!
//! Invariant: what is kept has at most 64 KiB as JSON, and small data is not even measured. Not here: what is kept how
//! long (`chronicle`).

use std::io::{self, Write};

use crate::jq::Val;

/// Bytes of JSON that are kept.
const BYTES_MAX: usize = 64 * 1024;
/// Bytes that are shown of what is not.
const BYTES_SHOWN: usize = 1024;
/// Data of this weight has less than `BYTES_MAX` bytes for sure.
const LIGHT: u64 = 1024;

/// The data, or the beginning of its JSON: `{"cut": "[1,2,…"}`.
pub(crate) fn kept(val: &Val) -> Val {
    if val.weight() <= LIGHT {
        return val.clone();
    }
    let mut measure = Measure { bytes: 0, begins: Vec::new() };
    if serde_json::to_writer(&mut measure, val).is_ok() {
        return val.clone();
    }
    let begins = String::from_utf8_lossy(&measure.begins);
    let begins = begins.trim_end_matches('\u{fffd}');
    Val::record([("cut", Val::str(format!("{begins}…")))])
}

/// Counts bytes and refuses too many.
struct Measure {
    bytes: usize,
    begins: Vec<u8>,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        let room = BYTES_SHOWN.saturating_sub(self.begins.len());
        self.begins.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.bytes > BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_data_is_cut_at_a_whole_character() {
        let fits = Val::str("é".repeat(32_000));
        assert_eq!(kept(&fits), fits);

        let cut = kept(&Val::str("é".repeat(33_000)));
        let text = cut.get("cut").and_then(Val::as_str).expect("cut");
        assert!(text.starts_with("\"éé") && text.ends_with("é…") && text.len() < BYTES_SHOWN + 8, "{text}");
    }
}
