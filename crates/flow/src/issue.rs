//! What is wrong with a definition, for the person who wrote it.
//!
//! Invariant: every issue names a place (line, column, JSON pointer) and a reason in plain words.
//! Not here: finding them (`parse`).

use serde::{Deserialize, Serialize};

/// One finding of [`Definition::parse`](crate::Definition::parse).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Line of the source, from 1.
    pub line: usize,
    /// Column of the source in characters, from 1.
    pub column: usize,
    /// JSON pointer into the definition, such as `/do/0/callIt/with/endpoint`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// Whether it makes the definition unusable.
    pub kind: IssueKind,
}

/// How bad an [`Issue`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssueKind {
    /// The definition breaks the rules of the language; nothing can run.
    Invalid,
    /// Valid, but this runtime does not offer it: the task faults when it is reached.
    Unsupported,
}

impl std::fmt::Display for Issue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, column, path, reason, .. } = self;
        let path = if path.is_empty() { "/" } else { path };
        write!(out, "line {line}, column {column}, {path}: {reason}")
    }
}
