//! Data of a history, cut when it is large.
//!
//! Invariant: looking at data costs nothing that grows with it. Not here: what is kept how long (`chronicle`).

use std::io::{self, Write};

use crate::jq::Val;

/// Weight of data that is kept: about 64 KiB of JSON, counting eight bytes for a number, a word and a name.
const WEIGHT_MAX: u64 = 64 * 1024 / 8;
/// Bytes that are shown of what is not.
const BYTES_SHOWN: usize = 1024;

/// The data, or the beginning of its JSON: `{"cut": "[1,2,…"}`.
pub(crate) fn kept(val: &Val) -> Val {
    if val.weight() <= WEIGHT_MAX {
        return val.clone();
    }
    let mut begins = Beginning(Vec::new());
    // it ends with the error of what is full
    let _ = serde_json::to_writer(&mut begins, val);
    let begins = String::from_utf8_lossy(&begins.0);
    let begins = begins.trim_end_matches('\u{fffd}');
    Val::record([("cut", Val::str(format!("{begins}…")))])
}

/// Takes so many bytes and no more.
struct Beginning(Vec<u8>);

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BYTES_SHOWN - self.0.len();
        if room == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let taken = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
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
