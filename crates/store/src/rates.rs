//! Rate-limit counts: one process alone writes them behind, nodes that share a database lease calls from them.
//!
//! Invariant: of one window no more calls are ever lent than its limit, whoever asks, and in doubt fewer: what is given
//! back twice is lost, not lent twice.
//! Not here: deciding about a call; the server counts in memory against what it has.

use crate::sql::{Bulk, Dialect, Kind, Select, Sql};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use serde::Serialize;

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

/// What a node wants to admit of a subject's calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// A key's id, an address, or the static token.
    pub subject: String,
    /// When the window began.
    pub window_start: Millis,
    /// How many calls, at most.
    pub wanted: i64,
    /// Calls that the window admits on all nodes.
    pub calls_max: i64,
}

/// What it may admit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    /// Whose calls.
    pub subject: String,
    /// The window they are of: a later one than asked for when another node is there already.
    pub window_start: Millis,
    /// Calls of it that all nodes have by now.
    pub calls: i64,
    /// Calls of it that were lent by this.
    pub granted: i64,
}

static PUT: Bulk = Bulk::insert(
    "rate_counts",
    &[("subject", Kind::Text), ("window_start", Kind::Int), ("calls", Kind::Int)],
    "ON CONFLICT (subject) DO UPDATE SET window_start = excluded.window_start, calls = excluded.calls",
);
static ADD: Bulk = Bulk::insert(
    "rate_counts",
    &[("subject", Kind::Text), ("window_start", Kind::Int), ("calls", Kind::Int)],
    "ON CONFLICT (subject) DO UPDATE SET calls = CASE \
     WHEN rate_counts.window_start = excluded.window_start THEN rate_counts.calls + excluded.calls \
     WHEN rate_counts.window_start < excluded.window_start THEN excluded.calls ELSE rate_counts.calls END, \
     window_start = CASE WHEN rate_counts.window_start < excluded.window_start THEN excluded.window_start \
     ELSE rate_counts.window_start END",
);
static FORGET: Sql = Sql::same("DELETE FROM rate_counts WHERE window_start < $1");
const READ: &str = "SELECT subject, window_start, calls FROM rate_counts WHERE window_start >= $1";
/// The row is locked before it is read, so that of two nodes that ask at one time the second sees what the first got.
const LEND: &str = "INSERT INTO rate_counts (subject, window_start, calls, granted, calls_max) \
    SELECT subject, window_start, LEAST(wanted, calls_max), LEAST(wanted, calls_max), calls_max \
    FROM jsonb_to_recordset(CAST($1 AS TEXT)::jsonb) \
    AS ask(subject TEXT, window_start BIGINT, wanted BIGINT, calls_max BIGINT) \
    ON CONFLICT (subject) DO UPDATE SET window_start = GREATEST(rate_counts.window_start, excluded.window_start), \
    calls = CASE WHEN rate_counts.window_start < excluded.window_start THEN excluded.calls ELSE rate_counts.calls + \
    GREATEST(LEAST(excluded.granted, excluded.calls_max - rate_counts.calls), 0) END, \
    granted = CASE WHEN rate_counts.window_start < excluded.window_start THEN excluded.granted ELSE \
    GREATEST(LEAST(excluded.granted, excluded.calls_max - rate_counts.calls), 0) END, \
    calls_max = excluded.calls_max RETURNING subject, window_start, calls, granted";

pub(crate) const STATEMENTS: &[&Sql] = &[&FORGET];
pub(crate) const BULKS: &[&Bulk] = &[&PUT, &ADD];

impl WriteSet {
    /// Writes a count down: for a process that is alone. A subject may appear once in a set.
    pub fn put_count(&mut self, count: &Count) {
        self.row(&PUT, row(count));
    }

    /// Adds calls that were admitted without a lease, or, with fewer than none, gives leased ones back. In a later window
    /// it changes nothing. A subject may appear once in a set, and subjects in order: so two nodes never wait for each other.
    pub fn add_calls(&mut self, count: &Count) {
        self.row(&ADD, row(count));
    }

    /// Removes counts of windows that began before a time.
    pub fn forget_counts(&mut self, before: Millis) {
        self.write(&FORGET, [before.into()], Expect::Any);
    }
}

fn row(count: &Count) -> [crate::value::Value; 3] {
    [count.subject.as_str().into(), count.window_start.into(), count.calls.into()]
}

impl Store {
    /// The counts of windows that began at or after a time.
    pub async fn counts(&self, since: Millis) -> Result<Vec<Count>, Error> {
        let rows = self.rows(Select::new(READ, [since.into()])).await?;
        rows.into_iter()
            .map(|mut row| Ok(Count { subject: row.text()?, window_start: row.int()?, calls: row.int()? }))
            .collect()
    }

    /// Lends calls to a node, one ask for a subject: for nodes that share a server. A SQLite file has one process, which
    /// needs no leave.
    pub async fn lend_calls(&self, mut asks: Vec<Ask>) -> Result<Vec<Lent>, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Err(Error::Refused("a file lends nothing".into()));
        }
        asks.sort_by(|one, other| one.subject.cmp(&other.subject));
        let asks = serde_json::to_string(&asks).map_err(|cause| Error::Refused(cause.into()))?;
        let rows = self.rows(Select::new(LEND, [asks.into()])).await?;
        rows.into_iter()
            .map(|mut row| {
                let (subject, window_start) = (row.text()?, row.int()?);
                Ok(Lent { subject, window_start, calls: row.int()?, granted: row.int()? })
            })
            .collect()
    }
}

pub(crate) fn selects(dialect: Dialect) -> Vec<Select> {
    let mut selects = vec![Select::new(READ, [0.into()])];
    if dialect == Dialect::Postgres {
        selects.push(Select::new(LEND, ["[]".into()]));
    }
    selects
}
