//! The only SQL of the project: SQLite and PostgreSQL behind one [`Store`].
//!
//! Invariant: a [`WriteSet`] is on disk before [`Store::submit`] answers `Ok`; every tenant-owned query
//! takes the tenant as its first parameter.
//! Not here: decisions. Use cases decide in `domain` and `flow`, then submit what is to be true.

mod catalogue;
mod error;
mod fault;
mod group;
mod lease;
mod maintenance;
mod migrate;
mod notice;
mod postgres;
mod sql;
mod sqlite;
mod totals;
mod value;
mod wake;
mod write;

pub mod audit;
pub mod deliveries;
pub mod event_types;
pub mod gate;
pub mod gathered;
pub mod handover;
pub mod idempotency;
pub mod keys;
pub mod members;
pub mod place;
pub mod planning;
pub mod rates;
pub mod run_requests;
pub mod runs;
pub mod schedules;
pub mod seal;
pub mod secrets;
pub mod sessions;
pub mod signals;
pub mod snapshots;
pub mod sources;
pub mod users;
pub mod webhooks;
pub mod workflows;

pub use catalogue::Planned;
pub use error::Error;
pub use fault::Faults;
pub use maintenance::{Doctor, backup_sqlite};
pub use migrate::names as migration_names;
pub use notice::{NewDelivery, NewRun, NewSignal, Notice, Parent, Path, TriggerRecord};
pub use sql::Dialect;
pub use wake::{Debts, Wake};
pub use write::WriteSet;

use group::Job;
use openevent_domain::ambient::Millis;
use sql::Select;
use sqlite::Read;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use value::{Row, Value};

/// Reader threads on a SQLite file.
const READERS: usize = 3;

/// What is waited for. Its type is forgotten here, since the compiler would go through it for each caller of a caller.
type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// One SQLite file.
    File(PathBuf),
    /// A PostgreSQL server's URL.
    Server(String),
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the data is.
    pub location: Location,
    /// Sets per transaction; `None` for the default. 1 turns group commit off, for comparison.
    pub group_max: Option<usize>,
}

/// Who owns the store's background work: it is tracked by one and ends at the other.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// Counts what runs.
    pub tasks: TaskTracker,
    /// Ends what listens. Writing goes on until the store is dropped.
    pub stop: CancellationToken,
}

/// The database. Cheap to share behind an `Arc`; dropping the last one ends its threads.
#[derive(Debug)]
pub struct Store {
    dialect: Dialect,
    jobs: flume::Sender<Job>,
    reads: Reads,
    wake: Arc<Wake>,
    faults: Faults,
    location: Location,
    totals: totals::Totals,
}

enum Reads {
    Threads(flume::Sender<Read>),
    Server(postgres::Readers),
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reads")
    }
}

impl Store {
    /// Opens the database, brings its schema up to date and starts the writer. `owner` owns what runs.
    pub async fn open(options: Options, now: Millis, owner: &Owner) -> Result<Self, Error> {
        let wake = Arc::new(Wake::default());
        let (jobs, waiting) = flume::bounded(group::JOBS_MAX);
        let group_max = options.group_max.unwrap_or(group::GROUP_MAX).max(1);
        let (dialect, reads) = match &options.location {
            Location::File(path) => {
                migrate::sqlite(&sqlite::connect(path)?, now)?;
                sqlite::start_writer(path.clone(), waiting, Arc::clone(&wake), group_max)?;
                (Dialect::Sqlite, Reads::Threads(sqlite::start_readers(path, READERS)?))
            }
            Location::Server(url) => {
                let server = postgres::Server::parse(url)?;
                migrate::postgres(&server, now).await?;
                let writer = postgres::write_groups(
                    server.clone(),
                    waiting,
                    Arc::clone(&wake),
                    group_max,
                    owner.tasks.clone(),
                );
                owner.tasks.spawn(writer);
                let listening = postgres::listen(server.clone(), Arc::clone(&wake));
                owner.tasks.spawn(owner.stop.clone().run_until_cancelled_owned(listening));
                (Dialect::Postgres, Reads::Server(postgres::Readers::of(&server)?))
            }
        };
        let (faults, totals) = (Faults::default(), totals::Totals::default());
        Ok(Self { dialect, jobs, reads, wake, faults, location: options.location, totals })
    }

    /// Writes a set: all of it, durably, or nothing.
    pub fn submit(&self, set: WriteSet) -> Waiting<'_, Result<(), Error>> {
        Box::pin(self.submitted(set))
    }

    async fn submitted(&self, set: WriteSet) -> Result<(), Error> {
        self.faults.pass()?;
        if set.is_empty() {
            return Ok(());
        }
        if set.holds_nul() {
            // PostgreSQL cannot store it, so SQLite must not either.
            return Err(Error::Refused("text with a NUL character".into()));
        }
        let moves_lists = set.moves_lists;
        let (reply, answer) = oneshot::channel();
        self.jobs.send_async(Job { set, reply }).await.map_err(|_| Error::away("the writer has ended"))?;
        let answer = answer.await.map_err(|_| Error::away("the writer has ended"));
        if moves_lists {
            // Also after a failure: it may have been written all the same.
            self.totals.moved();
        }
        answer??;
        self.faults.pass_answer()
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where the data is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Where commits are told.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Faults on demand, for tests.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether the database answers a read.
    pub async fn ping(&self) -> Result<(), Error> {
        self.rows(Select::new("SELECT 1", [])).await.map(drop)
    }

    pub(crate) fn rows(&self, select: Select) -> Waiting<'_, Result<Vec<Row>, Error>> {
        Box::pin(self.selected(select))
    }

    async fn selected(&self, select: Select) -> Result<Vec<Row>, Error> {
        self.faults.pass()?;
        let Select { text, args } = select;
        if args.iter().any(Value::holds_nul) {
            // No stored text holds NUL, so nothing can be equal to it (PostgreSQL would refuse the value).
            return Ok(Vec::new());
        }
        match &self.reads {
            Reads::Server(readers) => readers.query(&text, &args).await,
            Reads::Threads(reads) => {
                let (reply, answer) = oneshot::channel();
                let read = Read { text, args, reply };
                reads.send_async(read).await.map_err(|_| Error::away("the readers have ended"))?;
                answer.await.map_err(|_| Error::away("the readers have ended"))?
            }
        }
    }

    /// The first row, if any.
    pub(crate) async fn row(&self, select: Select) -> Result<Option<Row>, Error> {
        Ok(self.rows(select).await?.into_iter().next())
    }

    /// A count that stops at `max`, so that it never costs more than reading that many index entries.
    pub(crate) async fn count(&self, mut select: Select, max: i64) -> Result<i64, Error> {
        select = select.then_arg("LIMIT", max);
        select.text = format!("SELECT count(*) FROM ({}) AS counted", select.text);
        // No row at all: the filter asks for what cannot be stored (see `rows`).
        self.row(select).await?.map_or(Ok(0), |mut row| row.int())
    }
}
