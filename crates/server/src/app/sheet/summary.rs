//! What became of a table, row by row, in an answer that does not grow with it.
//!
//! Invariant: at most [`NAMED_MAX`] rows are named.
//! Not here: deciding about rows.

use super::import::{Effect, Verdict};
use crate::face::problem::{Code, FieldIssue, Problem};
use crate::face::reply::Reply;
use serde::Serialize;

/// Rows an answer names one by one.
const NAMED_MAX: usize = 1_000;

/// A row that is refused, and why.
#[derive(Debug, Serialize)]
struct Refused {
    line: u64,
    issues: Vec<FieldIssue>,
}

/// What would become of a row.
#[derive(Debug, Serialize)]
struct Planned {
    line: u64,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// What became of a table.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    dry_run: bool,
    pub(super) rows: u64,
    created: u64,
    updated: u64,
    unchanged: u64,
    pub(super) refused: u64,
    /// Whether the table was read to its end.
    pub(super) complete: bool,
    errors: Vec<Refused>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plan: Vec<Planned>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ignored_columns: Vec<String>,
}

impl Summary {
    /// Of nothing yet.
    pub(super) fn of(effect: Effect) -> Self {
        Self { dry_run: effect == Effect::Tried, ..Self::default() }
    }

    /// Counts what became of a row.
    pub(super) fn count(&mut self, line: u64, verdict: Verdict) {
        let (action, id) = match verdict {
            Verdict::Created(id) => {
                self.created += 1;
                // An id that was minted for a trial is nobody's.
                ("create", Some(id).filter(|_| !self.dry_run))
            }
            Verdict::Updated(id) => {
                self.updated += 1;
                ("update", Some(id))
            }
            Verdict::Unchanged(id) => {
                self.unchanged += 1;
                ("none", Some(id))
            }
            Verdict::Refused(issues) => {
                self.refused += 1;
                if self.errors.len() < NAMED_MAX {
                    self.errors.push(Refused { line, issues });
                }
                ("refuse", None)
            }
        };
        if self.dry_run && self.plan.len() < NAMED_MAX {
            self.plan.push(Planned { line, action, id });
        }
    }

    /// The answer; an import that broke off tells what stands.
    pub(super) fn answer(mut self, effect: Effect, outcome: Result<(), Problem>) -> Result<Reply, Problem> {
        self.errors.sort_by_key(|refused| refused.line);
        self.plan.sort_by_key(|planned| planned.line);
        if let Err(problem) = outcome {
            let is_begun = effect == Effect::Written && self.created + self.updated > 0;
            return Err(if is_begun { problem.with_data(&self) } else { problem });
        }
        if effect == Effect::AllOrNothing && self.refused > 0 {
            let words = "Rows are refused, so nothing was written";
            return Err(Problem::new(Code::ValidationError, words).with_details(self.issues()));
        }
        Ok(Reply::ok(&self))
    }

    /// Every mistake, each with its line before its field.
    fn issues(self) -> Vec<FieldIssue> {
        let named = |refused: Refused| {
            let line = refused.line;
            let place =
                move |issue: FieldIssue| FieldIssue::new(format!("{line}.{}", issue.field), issue.issue);
            refused.issues.into_iter().map(place)
        };
        self.errors.into_iter().flat_map(named).collect()
    }
}
