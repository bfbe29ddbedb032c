//! Reading a table: rows as they arrive, a batch of them at a time.
//!
//! Invariant: at most one batch of rows is held; a connection that is cut leaves whole batches. A row that is refused
//! stops no other, unless all of them are to stand or fall together.
//! Not here: what becomes of a batch (`stored`), the answer (`summary`).

use super::records::{Endless, Record, Records};
use super::summary::Summary;
use super::{ID, Layout, MEDIA, Row};
use crate::face::body::drain;
use crate::face::mapping;
use crate::face::problem::{FieldIssue, Problem};
use crate::face::reply::Reply;
use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use openevent_domain::planning::sheet;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

/// Rows of one commit.
const BATCH_ROWS: usize = 200;
/// Bytes of one commit's rows.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows of a table.
const ROWS_MAX: u64 = 1_000_000;
/// Rows that can stand or fall together: they are one commit.
const ATOMIC_ROWS_MAX: usize = 5_000;
/// Bytes of the rows that can stand or fall together.
const ATOMIC_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a sender may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of the mark some programs begin a table with.
const MARK_BYTES: usize = 3;

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It made something of this id.
    Created(String),
    /// It changed this.
    Updated(String),
    /// It says what is there.
    Unchanged(String),
    /// It is refused.
    Refused(Vec<FieldIssue>),
}

/// What an import is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write every row that is good.
    Written,
    /// Write all rows if all are good, else none.
    AllOrNothing,
    /// Write nothing; tell what would be.
    Tried,
}

/// Where rows go.
pub trait Table {
    /// Its columns.
    const LAYOUT: &'static Layout;

    /// Takes one batch of rows in, in one commit; a verdict for each.
    fn take(
        &mut self,
        rows: &[Row],
        effect: Effect,
    ) -> impl Future<Output = Result<Vec<Verdict>, Problem>> + Send;
}

/// What a column of the table at hand is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Id,
    Field(&'static super::Column),
    Ignored,
}

/// Why reading ended before the table did.
enum Halt {
    /// It cannot be read on; what was read stands.
    Stop { line: u64, issue: String },
    /// Something else.
    Problem(Problem),
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

struct Import<'a, T> {
    table: &'a mut T,
    effect: Effect,
    places: Vec<Place>,
    seen: HashSet<[u8; 16]>,
    batch: Vec<Row>,
    batch_bytes: usize,
    summary: Summary,
}

/// Reads a table of at most so many bytes.
pub async fn run<T: Table>(
    table: &mut T,
    effect: Effect,
    mut body: Body,
    bytes_max: u64,
) -> Result<Reply, Problem> {
    let summary = Summary::of(effect);
    let (places, seen, batch) = (Vec::new(), HashSet::new(), Vec::new());
    let mut import = Import { table, effect, places, seen, batch, batch_bytes: 0, summary };
    let outcome = match import.read(&mut body, bytes_max).await {
        Ok(()) => import.flush().await.map(|()| import.summary.complete = true),
        Err(Halt::Stop { line, issue }) => {
            drain(body).await;
            let flushed = import.flush().await;
            import.summary.count(line, Verdict::Refused(vec![FieldIssue::new("row", issue)]));
            flushed
        }
        Err(Halt::Problem(problem)) => {
            drain(body).await;
            Err(problem)
        }
    };
    import.summary.answer(effect, outcome)
}

impl<T: Table> Import<'_, T> {
    async fn read(&mut self, body: &mut Body, bytes_max: u64) -> Result<(), Halt> {
        let (mut records, mut bytes, mut head) = (Records::new(), 0, Vec::new());
        while let Some(piece) = piece(body).await? {
            bytes += piece.len() as u64;
            if bytes > bytes_max {
                let issue = format!("the table is larger than {bytes_max} bytes; what follows was not read");
                return Err(Halt::Stop { line: records.line(), issue });
            }
            if head.len() < MARK_BYTES {
                head.extend_from_slice(&piece);
                if head.len() >= MARK_BYTES {
                    self.take(&mut records, &mut head.as_slice(), false).await?;
                }
            } else {
                self.take(&mut records, &mut piece.as_ref(), false).await?;
            }
        }
        let rest = if head.len() < MARK_BYTES { head.as_slice() } else { &[] };
        self.take(&mut records, &mut { rest }, true).await?;
        if self.places.is_empty() {
            let words = "The table is empty; its first line names the columns";
            return Err(Problem::bad_request(words).into());
        }
        Ok(())
    }

    async fn take(&mut self, records: &mut Records, input: &mut &[u8], is_last: bool) -> Result<(), Halt> {
        loop {
            match records.next(input, is_last) {
                Ok(Some(record)) => self.record(record).await?,
                Ok(None) => return Ok(()),
                Err(Endless { line }) => {
                    let issue = "the row does not end, perhaps a quote is missing; what follows was not read";
                    return Err(Halt::Stop { line, issue: issue.to_owned() });
                }
            }
        }
    }

    async fn record(&mut self, record: Record) -> Result<(), Halt> {
        if self.places.is_empty() {
            return Ok(self.head(record)?);
        }
        let Record { line, cells, bytes } = record;
        if cells.as_ref().is_some_and(|cells| cells.iter().all(|cell| cell.trim().is_empty())) {
            return Ok(());
        }
        if self.summary.rows >= ROWS_MAX {
            let issue = format!("the table has more than {ROWS_MAX} rows; what follows was not read");
            return Err(Halt::Stop { line, issue });
        }
        self.summary.rows += 1;
        match self.row(line, cells, bytes) {
            Err(issue) => self.summary.count(line, Verdict::Refused(vec![issue])),
            Ok(row) => self.push(row).await?,
        }
        Ok(())
    }

    async fn push(&mut self, row: Row) -> Result<(), Problem> {
        self.batch_bytes += row.bytes;
        self.batch.push(row);
        let is_full = self.batch.len() >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES_MAX;
        if self.effect != Effect::AllOrNothing {
            return if is_full { self.flush().await } else { Ok(()) };
        }
        if self.batch.len() > ATOMIC_ROWS_MAX || self.batch_bytes > ATOMIC_BYTES_MAX {
            let words = format!(
                "At most {ATOMIC_ROWS_MAX} rows of {ATOMIC_BYTES_MAX} bytes can be written all or none; leave atomic out"
            );
            return Err(Problem::bad_request(words));
        }
        Ok(())
    }

    /// The first line.
    fn head(&mut self, record: Record) -> Result<(), Problem> {
        let layout = T::LAYOUT;
        let names = record.cells.ok_or_else(|| Problem::bad_request("The table is not UTF-8"))?;
        let mut issues = Vec::new();
        let mut seen = HashSet::new();
        for name in names.iter().map(|name| name.trim()) {
            let column = layout.column(name);
            let place = match column {
                Some(column) => Place::Field(column),
                None if name.eq_ignore_ascii_case(ID) => Place::Id,
                None => Place::Ignored,
            };
            let is_shown = layout.shown.iter().any(|(shown, _)| shown.eq_ignore_ascii_case(name));
            match place {
                Place::Ignored if !is_shown => self.summary.ignored_columns.push(name.to_owned()),
                Place::Ignored => {}
                _ if !seen.insert(name.to_ascii_lowercase()) => {
                    issues.push(FieldIssue::new(name, "is a column twice"));
                }
                _ => {}
            }
            self.places.push(place);
        }
        if !seen.contains(ID) {
            let missing = layout.key.iter().filter(|key| !seen.contains(&key.to_ascii_lowercase()));
            issues
                .extend(missing.map(|key| FieldIssue::new(*key, "is no column, and there is no column id")));
        }
        if issues.is_empty() { Ok(()) } else { Err(Problem::fields(issues)) }
    }

    fn row(&mut self, line: u64, cells: Option<Vec<String>>, bytes: usize) -> Result<Row, FieldIssue> {
        let cells = cells.ok_or_else(|| FieldIssue::new("row", "is not UTF-8"))?;
        if cells.len() != self.places.len() {
            let words = format!("has {} cells, the first line has {}", cells.len(), self.places.len());
            return Err(FieldIssue::new("row", words));
        }
        let mut row = Row { line, id: None, fields: serde_json::Map::new(), bytes };
        for (cell, place) in cells.iter().zip(&self.places) {
            match place {
                Place::Id => row.id = Some(cell.trim().to_owned()).filter(|id| !id.is_empty()),
                Place::Field(column) => {
                    row.fields.insert(column.name.to_owned(), sheet::read(cell, column.kind));
                }
                Place::Ignored => {}
            }
        }
        let layout = T::LAYOUT;
        let told_by = row.id.as_ref().map_or_else(|| layout.key.join(", "), |_| ID.to_owned());
        let key = row.id.clone().map_or_else(|| row.key(layout), |id| format!("{ID}\0\0{id}"));
        let digest = Sha256::digest(key.as_bytes());
        let mut mark = [0; 16];
        mark.copy_from_slice(&digest[..16]);
        if self.seen.insert(mark) {
            Ok(row)
        } else {
            Err(FieldIssue::new(told_by, "is that of an earlier row"))
        }
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        let rows = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        // What was refused while it was read spoils the whole as well.
        let is_spoilt = self.effect == Effect::AllOrNothing && self.summary.refused > 0;
        let effect = if is_spoilt { Effect::Tried } else { self.effect };
        let verdicts = self.table.take(&rows, effect).await?;
        for (row, verdict) in rows.iter().zip(verdicts) {
            self.summary.count(row.line, verdict);
        }
        Ok(())
    }
}

/// Whether a body of this type is a table.
pub fn is_table(kind: &str) -> bool {
    kind == MEDIA
}

/// The next bytes; `None` at the end.
async fn piece(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let frame = frame.map_err(|_elapsed| mapping::of_status(StatusCode::REQUEST_TIMEOUT))?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|_| Problem::bad_request("The body ended before it was complete"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

#[cfg(test)]
mod tests;
