//! Secrets from standard input, so that no list of processes and no shell history shows them.
//!
//! Invariant: at most what may be used is read; one line break at the end is not part of it.
//! Not here: what makes a value good.

use crate::failure::Explain as _;
use std::io::Read as _;

/// Standard input as one text of at most `bytes_max` bytes, and one more when it is longer.
pub(super) fn line(what: &str, bytes_max: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().take(bytes_max + 1).read_to_string(&mut text);
    read.explain(format!("cannot read {what} from standard input"), "it has to be UTF-8 text")?;
    let bare = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text).to_owned());
    Ok(bare.unwrap_or(text))
}
