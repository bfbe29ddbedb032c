//! Rate-limit counts as they survive a restart.
//!
//! Invariant: written behind, in bulk, about once a second; a call never waits for it.
//! Not here: deciding; the server counts in memory.

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;

/// The count of one subject in its current window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// A key's id, an address, or the static token.
    pub subject: String,
    /// When the window began.
    pub window_start: Millis,
    /// Calls so far.
    pub calls: i64,
}

static PUT: Bulk = Bulk::insert(
    "rate_counts",
    &[("subject", Kind::Text), ("window_start", Kind::Int), ("calls", Kind::Int)],
    "ON CONFLICT (subject) DO UPDATE SET window_start = excluded.window_start, calls = excluded.calls",
);
static FORGET: Sql = Sql::same("DELETE FROM rate_counts WHERE window_start < $1");
const READ: &str = "SELECT subject, window_start, calls FROM rate_counts WHERE window_start >= $1";

pub(crate) const STATEMENTS: &[&Sql] = &[&FORGET];
pub(crate) const BULKS: &[&Bulk] = &[&PUT];

impl WriteSet {
    /// Writes a count down. A subject may appear once in a set.
    pub fn put_count(&mut self, count: &Count) {
        self.row(&PUT, [count.subject.as_str().into(), count.window_start.into(), count.calls.into()]);
    }

    /// Removes counts of windows that began before a time.
    pub fn forget_counts(&mut self, before: Millis) {
        self.write(&FORGET, [before.into()], Expect::Any);
    }
}

impl Store {
    /// The counts of windows that began at or after a time.
    pub async fn counts(&self, since: Millis) -> Result<Vec<Count>, Error> {
        let rows = self.rows(Select::new(READ, [since.into()])).await?;
        rows.into_iter()
            .map(|mut row| Ok(Count { subject: row.text()?, window_start: row.int()?, calls: row.int()? }))
            .collect()
    }
}

pub(crate) fn selects() -> Vec<Select> {
    vec![Select::new(READ, [0.into()])]
}
