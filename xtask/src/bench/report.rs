//! The whole report, and its place in `docs/performance.md`.
//!
//! Invariant: only the text between the two markers is ever replaced; the rest belongs to people.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::Findings;
use super::machine::Machine;
use super::table::{self, Section};

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

/// Puts the tables of some parts in the place of their older ones, and their targets among the others.
pub(crate) fn write_parts(file: &Path, machine: &Machine, findings: &Findings) -> Result<()> {
    let old = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let block = old.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (block, _) = block.context("there is no report to put them in")?;
    let mut fresh: Vec<String> = Vec::new();
    for section in &findings.sections {
        let apart = format!("measured apart, {}", machine.short());
        fresh.push(format!("{}\n> {apart}\n", section.markdown()));
    }
    write(file, &merged(block, table::targets(&findings.targets), &fresh))
}

/// A report with some of its tables replaced by those of the same title; new ones come last.
fn merged(block: &str, targets: Section, fresh: &[String]) -> String {
    let title = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let mut parts: Vec<String> = format!("\n{}", block.trim())
        .split("\n### ")
        .skip(1)
        .map(|part| format!("### {}\n", part.trim_end()))
        .collect();
    let mut targets = Some(targets);
    for part in &mut parts {
        if let Some(mut old) = Section::read(part)
            && let Some(new) = targets.take_if(|new| new.title() == old.title())
        {
            old.take_rows(new);
            *part = old.markdown();
        }
    }
    for new in fresh {
        match parts.iter_mut().find(|old| title(old) == title(new)) {
            Some(old) => old.clone_from(new),
            None => parts.push(new.clone()),
        }
    }
    parts.join("\n")
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
    use super::super::table::{Goal, Target};
    use super::*;

    #[test]
    fn only_the_block_between_the_markers_changes() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let once = splice(&text, "new\n").expect("markers");
        assert_eq!(once, format!("above\n{BEGIN}\nnew\n{END}\nbelow\n"));
        assert_eq!(splice(&once, "new").expect("markers"), once);
    }

    #[test]
    fn some_tables_and_targets_are_replaced_and_the_others_stay() {
        let targets = |value| {
            let goal = Goal::AtMost(2.0);
            table::targets(&[Target { name: "x", goal, value: Some(value), digits: 1 }])
        };
        let old =
            format!("### Machine\n\n- one\n\n{}\n### A\n\nold\n\n### B\n\nkept\n", targets(3.0).markdown());

        let new = merged(&old, targets(1.0), &["### A\n\nnew\n".to_owned(), "### C\n\nlast\n".to_owned()]);

        let expected = format!(
            "### Machine\n\n- one\n\n{}\n### A\n\nnew\n\n### B\n\nkept\n\n### C\n\nlast\n",
            targets(1.0).markdown()
        );
        assert_eq!(new, expected);
    }

    #[test]
    fn a_file_without_markers_is_left_alone() {
        assert!(splice("text", "new").is_err());
        assert!(splice(&format!("{END}{BEGIN}"), "new").is_err());
    }
}
