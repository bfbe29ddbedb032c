//! House rules that are read off the source text: SQL only in the store, headers, file sizes.
//!
//! Invariant: every Rust file of `crates/` and `xtask/` is read; build output never is.
//! Deliberately not here: anything clippy can tell.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::literals;

/// Above this a file is listed, so that somebody thinks about it.
const LINES_LONG: usize = 400;
/// Above this a file is refused.
const LINES_MAX: usize = 800;

/// Where another's database is spoken to, which is never our own.
const OTHERS_SQL: &str = "crates/sources/src/from_postgres/sql.rs";

/// What was found in all files.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) broken: Vec<String>,
    pub(crate) long: Vec<String>,
    pub(crate) files: usize,
}

/// Reads every Rust file under the workspace root.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let mut report = Report::default();
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        check_file(&name, &text, &mut report);
    }
    Ok(report)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(name: &str, text: &str, report: &mut Report) {
    report.files += 1;
    if !text.trim_start().starts_with("//!") {
        report.broken.push(format!("{name}:1: a file begins with `//!`: what it is for, one invariant"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        report.broken.push(format!("{name}: {lines} lines, split it (at most {LINES_MAX})"));
    } else if lines > LINES_LONG {
        report.long.push(format!("{name}: {lines} lines, think about splitting it"));
    }
    if is_test(name) || name.starts_with("xtask/") || name.starts_with("crates/testkit/") {
        return;
    }
    let in_store = name.starts_with("crates/store/");
    for literal in literals::before_tests(text) {
        let at = format!("{name}:{}", literal.line);
        if in_store && has_words(&literal.text, &["SELECT", "*"]) {
            report.broken.push(format!("{at}: name the columns instead of `SELECT *`"));
        }
        if !in_store && name != OTHERS_SQL && is_sql(&literal.text) {
            report.broken.push(format!("{at}: SQL outside crates/store"));
        }
    }
}

/// Integration tests and `tests.rs` modules; unit test modules are cut off by the lexer.
fn is_test(name: &str) -> bool {
    name.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "fuzz"))
}

/// Upper-case statements only: prose that says "select … from" is not SQL.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = words(text).collect();
    let position = |word: &str| words.iter().position(|one| *one == word);
    let select = matches!((position("SELECT"), position("FROM")), (Some(a), Some(b)) if a < b);
    let update = matches!((position("UPDATE"), position("SET")), (Some(a), Some(b)) if a < b);
    select || update || has_words(text, &["INSERT", "INTO"]) || has_words(text, &["DELETE", "FROM"])
}

fn has_words(text: &str, pair: &[&str; 2]) -> bool {
    let words: Vec<&str> = words(text).collect();
    words.windows(2).any(|window| window == pair)
}

/// Words split at white space, brackets and written escapes; `*` stands alone.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|one: char| one.is_whitespace() || matches!(one, '(' | ')' | ',' | ';' | '\\'))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, text: &str) -> Report {
        let mut report = Report::default();
        check_file(name, text, &mut report);
        report
    }

    #[test]
    fn a_file_without_a_header_is_refused() {
        assert_eq!(report("crates/domain/src/x.rs", "fn main() {}").broken.len(), 1);
        assert!(report("crates/domain/src/x.rs", "\n//! What for.\nfn main() {}").broken.is_empty());
    }

    #[test]
    fn long_files_are_listed_and_very_long_ones_refused() {
        let long = format!("//! x\n{}", "\n".repeat(450));
        assert_eq!(report("crates/flow/src/x.rs", &long).long.len(), 1);
        let too_long = format!("//! x\n{}", "\n".repeat(900));
        assert_eq!(report("crates/flow/src/x.rs", &too_long).broken.len(), 1);
    }

    #[test]
    fn sql_outside_the_store_is_refused() {
        let text = "//! x\nlet a = \"SELECT id\\n FROM runs\";\nlet b = \"INSERT INTO t(x) VALUES ($1)\";";
        let broken = report("crates/server/src/x.rs", text).broken;
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert!(broken[0].starts_with("crates/server/src/x.rs:2:"));
        assert!(report("crates/store/src/x.rs", text).broken.is_empty());
        assert!(report(OTHERS_SQL, text).broken.is_empty());
    }

    #[test]
    fn prose_comments_and_tests_may_say_select() {
        let text = "//! SELECT a FROM b\nlet a = \"select one from the list\"; // INSERT INTO t";
        assert!(report("crates/server/src/x.rs", text).broken.is_empty());
        let sql = "//! x\nlet a = \"DELETE FROM t\";";
        assert!(report("crates/server/tests/x.rs", sql).broken.is_empty());
        assert_eq!(report("crates/server/src/x.rs", sql).broken.len(), 1);
    }

    #[test]
    fn the_store_names_its_columns() {
        let text = "//! x\nlet a = \"SELECT * FROM runs\"; let b = \"SELECT count(*) FROM runs\";";
        assert_eq!(report("crates/store/src/x.rs", text).broken.len(), 1);
    }
}
