//! Runs whose workflow says how many may go on at a time: let in, or ended before they began.
//!
//! Invariant: such a run has begun exactly when its row says so; the row is written with the first commit of the run.
//! Not here: who is let in.

use crate::sql::{Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Path, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;

/// A run that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its id.
    pub id: RunId,
    /// When it was started.
    pub started_at: Millis,
    /// When it was let in.
    pub begun_at: Millis,
    /// Under which keys, as JSON text.
    pub keys: String,
}

/// The run may end in the same set, at the same time; its end is written before this.
static LET_IN: Sql = Sql::same(
    "UPDATE runs SET begun_at = $1, gate = $2 WHERE id = $3 AND begun_at IS NULL AND (ended_at IS NULL OR ended_at = $1)",
);
static TURN_AWAY: Sql = Sql::same(
    "UPDATE runs SET status = 'cancelled', error = $1, ended_at = $2 WHERE id = $3 AND ended_at IS NULL",
);
const SINCE: &str = "SELECT id, started_at, begun_at, gate FROM runs \
                     WHERE tenant = $1 AND namespace = $2 AND name = $3 AND begun_at >= $4 AND gate IS NOT NULL \
                     ORDER BY begun_at DESC LIMIT $5";

pub(crate) const STATEMENTS: &[&Sql] = &[&LET_IN, &TURN_AWAY];

impl WriteSet {
    /// Lets a run begin. Fails the set when it has begun or ended already.
    pub fn let_in(&mut self, run: &RunId, at: Millis, keys: &str) {
        let args = [at.into(), keys.into(), run.as_str().into()];
        self.write(&LET_IN, args, Expect::One("the run has begun or ended"));
    }

    /// Ends a run before it began. Fails the set when it has ended already.
    pub fn turn_away(&mut self, run: &RunId, error: Option<&serde_json::Value>, at: Millis) {
        let args = [error.into(), at.into(), run.as_str().into()];
        self.write(&TURN_AWAY, args, Expect::One("the run has ended"));
    }
}

impl Store {
    /// Runs of a workflow that were let in at or after a time, the last first: for the engine.
    pub async fn begun_since(&self, path: &Path, since: Millis, limit: i64) -> Result<Vec<Begun>, Error> {
        self.rows(since_select(path, since, limit)).await?.into_iter().map(begun).collect()
    }
}

fn since_select(path: &Path, since: Millis, limit: i64) -> Select {
    let Path { tenant, namespace, name } = path;
    let args =
        [tenant.as_str().into(), namespace.as_str().into(), name.as_str().into(), since.into(), limit.into()];
    Select::new(SINCE, args)
}

fn begun(mut row: Row) -> Result<Begun, Error> {
    Ok(Begun {
        id: RunId::trusted(row.text()?),
        started_at: row.int()?,
        begun_at: row.int()?,
        keys: row.text()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    vec![Select::new(SINCE, ["x".into(), "x".into(), "x".into(), 0.into(), 1.into()])]
}
