//! The whole report, and its place in `docs/performance.md`.
//!
//! Invariant: only the text between the two markers is ever replaced; the rest belongs to people.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::machine::Machine;
use super::{Findings, table};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Machine, targets, tables and remarks.
pub(crate) fn markdown(machine: &Machine, findings: &Findings, quick: bool) -> String {
    let mut text = format!("### Machine\n\n{machine}\n");
    if quick {
        text.push_str("- measured with `--quick`: one short round, small tables\n");
    }
    text.push_str("- client and server share the cores; every figure is a median over interleaved rounds: compare ratios\n");
    let _never = write!(text, "\n{}", table::targets(&findings.targets).markdown());
    for section in &findings.sections {
        let _never = write!(text, "\n{}", section.markdown());
    }
    for remark in &findings.remarks {
        let _never = write!(text, "\n> {remark}\n");
    }
    text
}

/// Puts the report into the file; a file that is not there yet is begun.
pub(crate) fn write(file: &Path, report: &str) -> Result<()> {
    let old = if file.exists() {
        fs::read_to_string(file)?
    } else {
        format!("# Performance\n\nWritten by `cargo xtask bench --write`.\n\n{BEGIN}\n{END}\n")
    };
    let new = splice(&old, report).with_context(|| format!("cannot write into {}", file.display()))?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, new)?;
    println!("wrote {}", file.display());
    Ok(())
}

fn splice(text: &str, report: &str) -> Result<String> {
    let (Some(begin), Some(end)) = (text.find(BEGIN), text.find(END)) else {
        bail!("the markers {BEGIN} and {END} are missing");
    };
    if end < begin {
        bail!("the markers are the wrong way round");
    }
    let (before, after) = (&text[..begin + BEGIN.len()], &text[end..]);
    Ok(format!("{before}\n{}\n{after}", report.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_block_between_the_markers_changes() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let once = splice(&text, "new\n").expect("markers");
        assert_eq!(once, format!("above\n{BEGIN}\nnew\n{END}\nbelow\n"));
        assert_eq!(splice(&once, "new").expect("markers"), once);
    }

    #[test]
    fn a_file_without_markers_is_left_alone() {
        assert!(splice("text", "new").is_err());
        assert!(splice(&format!("{END}{BEGIN}"), "new").is_err());
    }
}
