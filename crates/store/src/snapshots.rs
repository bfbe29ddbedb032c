//! Snapshots: what stands for the beginning of a long journal.
//!
//! Invariant: a snapshot and the removal of the entries it stands for are one set, and a snapshot only ever moves
//! forward. The first places of a journal stay taken, emptied, and later ones are written only beyond the snapshot:
//! a driver that was away can never write where another has been.
//! Not here: what a snapshot holds; it is JSON text to us.

use crate::sql::{Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;

/// Places at the beginning of a journal that stay taken: a run with fewer entries has no snapshot, so its driver
/// need not look for one.
pub const PLACES_KEPT: i64 = 1_000;

/// A run's state after so many entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose it is.
    pub run_id: RunId,
    /// The last entry it stands for.
    pub seq: i64,
    /// The state as JSON text.
    pub state: String,
}

static PUT: Sql = Sql::same(
    "INSERT INTO snapshots (run_id, seq, state) VALUES ($1, $2, $3) ON CONFLICT (run_id) DO UPDATE SET \
     seq = excluded.seq, state = excluded.state WHERE snapshots.seq < excluded.seq",
);
static EMPTY: Sql =
    Sql::same("UPDATE journal SET input = '' WHERE run_id = $1 AND seq <= $2 AND seq <= $3 AND input <> ''");
static DELETE: Sql = Sql::same("DELETE FROM journal WHERE run_id = $1 AND seq > $2 AND seq <= $3");
static APPEND_BEYOND: Sql = Sql::same(
    "INSERT INTO journal (run_id, seq, at, input) SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), \
     CAST($4 AS TEXT) WHERE NOT EXISTS (SELECT 1 FROM snapshots WHERE run_id = $1 AND seq >= $2)",
);
const OF_RUN: &str = "SELECT run_id, seq, state FROM snapshots WHERE run_id = $1";
const LIVE: &str = "SELECT s.run_id, s.seq, s.state FROM runs r JOIN snapshots s ON s.run_id = r.id \
                    WHERE r.ended_at IS NULL AND r.id >= $1 AND r.id <= $2";

pub(crate) const STATEMENTS: &[&Sql] = &[&PUT, &EMPTY, &DELETE, &APPEND_BEYOND];

impl WriteSet {
    /// Puts a snapshot in the place of the entries it stands for. Fails the set when there is a later one.
    pub fn put_snapshot(&mut self, snapshot: &Snapshot) {
        let Snapshot { run_id, seq, state } = snapshot;
        let values = [run_id.as_str().into(), (*seq).into(), state.as_str().into()];
        self.write(&PUT, values, Expect::One("there is a later snapshot"));
        let bounds = || [run_id.as_str().into(), PLACES_KEPT.into(), (*seq).into()];
        self.write(&EMPTY, bounds(), Expect::Any);
        self.write(&DELETE, bounds(), Expect::Any);
    }

    /// An entry of a journal that may have a snapshot: fails the set also when the snapshot stands for that place.
    pub(crate) fn append_beyond(&mut self, run: &RunId, seq: i64, at: Millis, input: String) {
        let values = [run.as_str().into(), seq.into(), at.into(), input.into()];
        self.write(&APPEND_BEYOND, values, Expect::One("the journal has gone on"));
    }
}

impl Store {
    /// A run's snapshot. Read it after the journal: then nothing between the two is missing.
    pub async fn snapshot(&self, run: &RunId) -> Result<Option<Snapshot>, Error> {
        self.row(Select::new(OF_RUN, [run.as_str().into()])).await?.map(snapshot).transpose()
    }

    /// The snapshots of live runs between two ids: for the engine.
    pub async fn live_snapshots(&self, first: &RunId, last: &RunId) -> Result<Vec<Snapshot>, Error> {
        let rows = self.rows(Select::new(LIVE, [first.as_str().into(), last.as_str().into()])).await?;
        rows.into_iter().map(snapshot).collect()
    }
}

fn snapshot(mut row: Row) -> Result<Snapshot, Error> {
    Ok(Snapshot { run_id: RunId::trusted(row.text()?), seq: row.int()?, state: row.text()? })
}

pub(crate) fn selects() -> Vec<Select> {
    vec![Select::new(OF_RUN, ["x".into()]), Select::new(LIVE, ["x".into(), "x".into()])]
}
