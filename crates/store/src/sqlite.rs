//! The SQLite driver: one writer thread, a few reader threads, cached statements.
//!
//! Invariant: WAL with `synchronous=FULL`; a set is answered after the fsync of the transaction it is in.
//! Not here: what is written or read.

use crate::Error;
use crate::catalogue::Planned;
use crate::group::{self, Job, Plan};
use crate::sql::{Bulk, Dialect};
use crate::value::{Row, Value};
use crate::wake::Wake;
use crate::write::{Expect, Write};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Statements each connection keeps prepared.
const STATEMENTS_MAX: usize = 256;
/// How long a connection waits for another process's lock.
const BUSY_MS_MAX: u64 = 5_000;
/// Pages of WAL after which a checkpoint is due (16 KiB each).
const CHECKPOINT_PAGES: u32 = 2_000;
/// Reads that may wait.
const READS_MAX: usize = 8_192;

/// A read on its way to a reader thread.
pub(crate) struct Read {
    pub(crate) text: String,
    pub(crate) args: Vec<Value>,
    pub(crate) reply: oneshot::Sender<Result<Vec<Row>, Error>>,
}

/// Opens a connection with our settings, making the file if there is none.
pub(crate) fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path).map_err(error)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS_MAX)).map_err(error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let setup = "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; \
                 PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384;";
    connection.execute_batch(setup).map_err(error)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(error)?;
    Ok(connection)
}

/// Starts the writer thread. It ends when every sender is gone.
pub(crate) fn start_writer(
    path: PathBuf,
    jobs: flume::Receiver<Job>,
    wake: Arc<Wake>,
    group_max: usize,
) -> Result<(), Error> {
    let connection = connect(&path)?;
    let work = move || {
        let mut writer = Writer { connection, wake, group_max };
        while let Ok(first) = jobs.recv() {
            writer.write_waiting(first, &jobs);
        }
    };
    std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(work)
        .map(drop)
        .map_err(|cause| Error::Unavailable(cause.into()))
}

struct Writer {
    connection: Connection,
    wake: Arc<Wake>,
    group_max: usize,
}

impl Writer {
    fn write_waiting(&mut self, first: Job, waiting: &flume::Receiver<Job>) {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter().take(self.group_max - 1));
        match self.transact(&Plan::of(&jobs)) {
            Ok(()) => group::committed(jobs, &self.wake),
            Err(cause) if cause.is_unavailable() => group::away(jobs, &cause),
            Err(cause) if jobs.len() == 1 => group::refused(jobs, cause),
            Err(_) => jobs.into_iter().for_each(|job| self.write_alone(vec![job])),
        }
    }

    fn write_alone(&mut self, jobs: Vec<Job>) {
        match self.transact(&Plan::of(&jobs)) {
            Ok(()) => group::committed(jobs, &self.wake),
            Err(cause) => group::refused(jobs, cause),
        }
    }

    fn transact(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        if !self.connection.is_autocommit() {
            self.run("ROLLBACK")?;
        }
        self.run("BEGIN IMMEDIATE")?;
        let done = self.execute(plan).and_then(|()| self.run("COMMIT"));
        if done.is_err() && !self.connection.is_autocommit() {
            // Should it fail, the next transaction begins with it.
            let _ = self.run("ROLLBACK");
        }
        done
    }

    fn run(&self, text: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.raw_execute().map(drop))
            .map_err(error)
    }

    fn execute(&self, plan: &Plan<'_>) -> Result<(), Error> {
        for (bulk, rows) in &plan.bulks {
            // Halves, so that there are few texts to prepare.
            let (mut count, mut rest) = (bulk.together(), rows.as_slice());
            while !rest.is_empty() {
                let (whole, fewer) = rest.split_at(rest.len() - rest.len() % count);
                self.execute_rows(bulk, count, whole)?;
                (count, rest) = (count / 2, fewer);
            }
        }
        plan.writes.iter().try_for_each(|write| self.execute_one(write))
    }

    /// So many rows a statement.
    fn execute_rows(&self, bulk: &Bulk, count: usize, rows: &[&[Value]]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(&bulk.text_of_rows(count)).map_err(error)?;
        rows.chunks(count).try_for_each(|rows| {
            bind(&mut statement, rows.iter().copied().flatten())?;
            statement.raw_execute().map(drop).map_err(error)
        })
    }

    fn execute_one(&self, write: &Write) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(write.sql.text(Dialect::Sqlite)).map_err(error)?;
        bind(&mut statement, &write.args)?;
        let hit = statement.raw_execute().map_err(error)?;
        match write.expect {
            Expect::One(or) if hit != 1 => Err(Error::Missed(or)),
            _ => Ok(()),
        }
    }
}

/// Starts reader threads on the file; they end when every sender is gone.
pub(crate) fn start_readers(path: &Path, count: usize) -> Result<flume::Sender<Read>, Error> {
    let (sender, reads) = flume::bounded::<Read>(READS_MAX);
    for n in 0..count {
        let reads = reads.clone();
        let connection = connect_read_only(path)?;
        let work = move || {
            while let Ok(read) = reads.recv() {
                let _ = read.reply.send(query(&connection, &read.text, &read.args));
            }
        };
        let builder = std::thread::Builder::new().name(format!("store-reader-{n}"));
        builder.spawn(work).map_err(|cause| Error::Unavailable(cause.into()))?;
    }
    Ok(sender)
}

fn connect_read_only(path: &Path) -> Result<Connection, Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags).map_err(error)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS_MAX)).map_err(error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A plan that depends on the value of a LIMIT would be made anew for each question.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
    connection.execute_batch("PRAGMA cache_size=-8192;").map_err(error)?;
    Ok(connection)
}

/// How a statement would be run.
pub(crate) fn planned(connection: &Connection, text: String) -> Result<Planned, Error> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).map_err(error)?;
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().map_err(error)? {
        steps.push(row.get::<_, String>("detail").map_err(error)?);
    }
    drop(rows);
    Ok(Planned { text, plan: steps.join("\n") })
}

/// Runs a statement that yields rows.
pub(crate) fn query(connection: &Connection, text: &str, args: &[Value]) -> Result<Vec<Row>, Error> {
    let mut statement = connection.prepare_cached(text).map_err(error)?;
    bind(&mut statement, args)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(error)? {
        let values =
            (0..columns).map(|n| row.get_ref(n).map_err(error).and_then(value)).collect::<Result<_, _>>()?;
        found.push(Row::new(values));
    }
    Ok(found)
}

fn value(value: ValueRef<'_>) -> Result<Value, Error> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(int) => Ok(Value::Int(int)),
        ValueRef::Text(bytes) => {
            std::str::from_utf8(bytes).map(Value::from).map_err(|cause| Error::Corrupt(cause.to_string()))
        }
        ValueRef::Real(_) | ValueRef::Blob(_) => {
            Err(Error::corrupt("a column is neither text nor a whole number"))
        }
    }
}

fn bind<'a>(
    statement: &mut CachedStatement<'_>,
    args: impl IntoIterator<Item = &'a Value>,
) -> Result<(), Error> {
    let mut count = 0;
    for (n, arg) in args.into_iter().enumerate() {
        count = n + 1;
        debug_assert!(statement.parameter_name(n + 1).is_some_and(|name| name[1..] == (n + 1).to_string()));
        let bound = match arg {
            Value::Null => statement.raw_bind_parameter(n + 1, rusqlite::types::Null),
            Value::Int(int) => statement.raw_bind_parameter(n + 1, int),
            Value::Text(text) => statement.raw_bind_parameter(n + 1, text),
        };
        bound.map_err(error)?;
    }
    debug_assert_eq!(statement.parameter_count(), count);
    Ok(())
}

fn is_key_taken(cause: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE};
    let taken = [SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_ROWID];
    cause.sqlite_error().is_some_and(|error| taken.contains(&error.extended_code))
}

/// Sorts SQLite's errors by what the caller can do.
pub(crate) fn error(cause: rusqlite::Error) -> Error {
    let Some(code) = cause.sqlite_error_code() else { return Error::Refused(cause.into()) };
    match code {
        ErrorCode::ConstraintViolation if is_key_taken(&cause) => {
            let words = cause.to_string();
            let table =
                words.rsplit_once(": ").map_or("", |(_, at)| at).split('.').next().unwrap_or_default();
            Error::Exists { table: table.to_owned() }
        }
        ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::ReadOnly
        | ErrorCode::CannotOpen
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::PermissionDenied
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OutOfMemory => Error::Unavailable(cause.into()),
        _ => Error::Refused(cause.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn readers_do_not_count_memory_behind_one_lock() {
        let connection = Connection::open_in_memory().expect("a database");
        let options = query(&connection, "PRAGMA compile_options", &[]).expect("options");
        let options: Vec<_> = options.into_iter().filter_map(|mut row| row.text().ok()).collect();
        assert!(options.iter().any(|it| it == "DEFAULT_MEMSTATUS=0"), "see .cargo/config.toml: {options:?}");
    }

    #[test]
    fn a_statement_of_a_reader_is_prepared_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        connect(&path)
            .and_then(|made| made.execute_batch("CREATE TABLE t (a)").map_err(error))
            .expect("a table");
        let reader = connect_read_only(&path).expect("a reader");
        let text = "SELECT a FROM t ORDER BY a LIMIT $1";

        for limit in [1, 20, 300] {
            query(&reader, text, &[limit.into()]).expect("rows");
        }

        let statement = reader.prepare_cached(text).expect("the statement");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
