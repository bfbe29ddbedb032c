//! The writer: one connection that carries a group at a time.
//!
//! Invariant: a group travels as one pipeline, so it costs one or two round trips however many sets it holds.
//! A lost connection fails what was waiting with `Unavailable` and is opened again at the next group.
//! Not here: what is written.

use super::{COLLISIONS, Server, error};
use crate::Error;
use crate::group::{self, Job, Plan};
use crate::sql::{Bulk, Dialect, Kind};
use crate::value::Value;
use crate::wake::Wake;
use crate::write::Expect;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use tokio_util::task::TaskTracker;

/// Begins, and takes a lock that is held from before signals are numbered until they are committed: the order of `signals.seq` is then the
/// order of commits on all nodes together, and who reads the log by `seq` never passes by a late one.
const BEGIN_LOGGING: &str = "BEGIN; SELECT pg_advisory_xact_lock(7310454)";

/// The task that writes groups. It ends when every sender is gone.
pub(crate) async fn write_groups(
    server: Server,
    jobs: flume::Receiver<Job>,
    wake: Arc<Wake>,
    group_max: usize,
    tasks: TaskTracker,
) {
    let mut writer = Writer { server, tasks, node: wake.node().to_owned(), connected: None };
    while let Ok(first) = jobs.recv_async().await {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(group_max - 1));
        if let Err(silence) = writer.write_group(group, &wake).await {
            // Those who came meanwhile have waited as long as we say anybody does.
            group::away(jobs.drain().collect(), &silence);
        }
    }
}

struct Writer {
    server: Server,
    tasks: TaskTracker,
    node: String,
    connected: Option<Connected>,
}

struct Connected {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    connection: AbortHandle,
    /// Tells every node, this one included, of a commit of this one; alone, and together with the commit.
    stir: String,
    stir_and_commit: String,
}

impl Writer {
    /// Writes a group and answers its callers. `Err`: the server said nothing for as long as we wait.
    async fn write_group(&mut self, jobs: Vec<Job>, wake: &Wake) -> Result<(), Error> {
        match self.transact(&Plan::of(&jobs)).await {
            Ok(()) => group::committed(jobs, wake),
            Err(cause) if cause.is_unavailable() => {
                group::away(jobs, &cause);
                return if is_silence(&cause) { Err(cause) } else { Ok(()) };
            }
            Err(cause) if jobs.len() == 1 => group::refused(jobs, cause),
            Err(_) => {
                for job in jobs {
                    let alone = vec![job];
                    match self.transact(&Plan::of(&alone)).await {
                        Ok(()) => group::committed(alone, wake),
                        Err(cause) => group::refused(alone, cause),
                    }
                }
            }
        }
        Ok(())
    }

    /// Two nodes that block each other: the server ends one of the two transactions, and by then the other
    /// has what it needs, so the one is simply written again.
    async fn transact(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        match self.transact_once(plan).await {
            Err(cause) if is_collision(&cause) => self.transact_once(plan).await,
            done => done,
        }
    }

    async fn transact_once(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        let deadline = Instant::now() + self.server.patience;
        let mut connected = match self.connected.take() {
            Some(connected) if !connected.client.is_closed() => connected,
            _ => connect(&self.server, &self.tasks, &self.node).await?,
        };
        let done = match tokio::time::timeout_at(deadline, connected.transact(plan)).await {
            Ok(done) => done,
            Err(elapsed) => Err(Error::Unavailable(elapsed.into())),
        };
        // After a failure of the connection itself nothing is known of it: begin with a new one.
        if matches!(&done, Err(cause) if cause.is_unavailable()) {
            connected.connection.abort();
        } else {
            self.connected = Some(connected);
        }
        done
    }
}

async fn connect(server: &Server, tasks: &TaskTracker, node: &str) -> Result<Connected, Error> {
    let (client, connection) = server.connect().await?;
    let driving = tasks.spawn(async move {
        if let Err(cause) = connection.await {
            tracing::debug!(error = %cause, "the writer's connection ended");
        }
    });
    let connected = Connected {
        client,
        statements: HashMap::new(),
        connection: driving.abort_handle(),
        stir: format!("NOTIFY openevent, '{node}'"),
        stir_and_commit: format!("NOTIFY openevent, '{node}'; COMMIT"),
    };
    let session = server.session();
    let told = connected.client.batch_execute(&session);
    match tokio::time::timeout(server.patience, told).await {
        Ok(Ok(())) => Ok(connected),
        Ok(Err(cause)) => Err(error(cause)),
        Err(elapsed) => {
            connected.connection.abort();
            Err(Error::Unavailable(elapsed.into()))
        }
    }
}

/// Whether the server gave no answer in time.
fn is_silence(cause: &Error) -> bool {
    matches!(cause, Error::Unavailable(source) if source.is::<Elapsed>())
}

/// Whether the server ended a transaction because another was in its way.
fn is_collision(cause: &Error) -> bool {
    let Error::Unavailable(source) = cause else { return false };
    let code = source.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code.is_some_and(|code| code.code().starts_with(COLLISIONS))
}

impl Connected {
    async fn transact(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        for (bulk, _) in &plan.bulks {
            self.prepare(bulk.text(Dialect::Postgres)).await?;
        }
        for write in &plan.writes {
            self.prepare(write.sql.text(Dialect::Postgres)).await?;
        }
        if plan.writes.iter().any(|write| write.expect != Expect::Any) {
            return self.transact_guarded(plan).await;
        }
        self.pipeline(plan, true).await.map(drop)
    }

    /// Looks at the row counts before it commits: one round trip more.
    async fn transact_guarded(&self, plan: &Plan<'_>) -> Result<(), Error> {
        let verdict = self.pipeline(plan, false).await.and_then(|hits| {
            let missed = plan.writes.iter().zip(hits).find_map(|(write, hit)| match write.expect {
                Expect::One(or) if hit != 1 => Some(or),
                _ => None,
            });
            missed.map_or(Ok(()), |or| Err(Error::Missed(or)))
        });
        let end = if verdict.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.client.batch_execute(end).await.map_err(error)?;
        verdict
    }

    /// Sends everything without waiting in between; answers the row counts of the single statements.
    /// The first failure is the cause: what follows it in an aborted transaction only says so.
    async fn pipeline(&self, plan: &Plan<'_>, commit: bool) -> Result<Vec<u64>, Error> {
        let mut steps: Vec<Step<'_>> = Vec::with_capacity(plan.bulks.len() + plan.writes.len() + 4);
        steps.push(self.say(if plan.logs() { BEGIN_LOGGING } else { "BEGIN" }));
        let first_write = steps.len() + plan.bulks.len();
        for (bulk, rows) in &plan.bulks {
            let statement = self.statement(bulk.text(Dialect::Postgres))?;
            steps.push(Box::pin(async move {
                let arrays = Arrays::of(bulk, rows);
                self.client.execute(statement, &arrays.refs()).await
            }));
        }
        for write in &plan.writes {
            let statement = self.statement(write.sql.text(Dialect::Postgres))?;
            steps.push(Box::pin(async move {
                let args: Vec<&(dyn ToSql + Sync)> = write.args.iter().map(|arg| arg as _).collect();
                self.client.execute(statement, &args).await
            }));
        }
        // One message rather than two: each costs the server a round of its own.
        match (plan.stirs, commit) {
            (true, true) => steps.push(self.say(&self.stir_and_commit)),
            (true, false) => steps.push(self.say(&self.stir)),
            (false, true) => steps.push(self.say("COMMIT")),
            (false, false) => {}
        }
        let mut hits = Vec::with_capacity(plan.writes.len());
        let mut failed = None;
        for (n, done) in in_order(steps).await.into_iter().enumerate() {
            match done {
                Ok(hit) if n >= first_write && hits.len() < plan.writes.len() => hits.push(hit),
                Ok(_) => {}
                Err(cause) => failed = failed.or(Some(cause)),
            }
        }
        match failed {
            None => Ok(hits),
            Some(cause) => {
                if commit && !self.client.is_closed() {
                    self.client.batch_execute("ROLLBACK").await.map_err(error)?;
                }
                Err(error(cause))
            }
        }
    }

    fn say<'a>(&'a self, text: &'a str) -> Step<'a> {
        Box::pin(async move { self.client.batch_execute(text).await.map(|()| 0) })
    }

    async fn prepare(&mut self, text: &'static str) -> Result<(), Error> {
        if !self.statements.contains_key(text) {
            let statement = self.client.prepare(text).await.map_err(error)?;
            self.statements.insert(text, statement);
        }
        Ok(())
    }

    fn statement(&self, text: &'static str) -> Result<&Statement, Error> {
        self.statements.get(text).ok_or_else(|| Error::corrupt("a statement was not prepared"))
    }
}

type Step<'a> = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send + 'a>>;

/// Polls all steps, always in order, so that their requests enter the connection's pipe in order.
async fn in_order(mut steps: Vec<Step<'_>>) -> Vec<Result<u64, tokio_postgres::Error>> {
    let mut done: Vec<Option<Result<u64, tokio_postgres::Error>>> = steps.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (step, slot) in steps.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match step.as_mut().poll(context) {
                    Poll::Ready(result) => *slot = Some(result),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// The rows of a bulk statement turned into one array a column.
struct Arrays<'a>(Vec<Array<'a>>);

enum Array<'a> {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'a str>>),
}

impl<'a> Arrays<'a> {
    fn of(bulk: &Bulk, rows: &[&'a [Value]]) -> Self {
        let columns = bulk.columns.iter().enumerate();
        Self(columns.map(|(n, (_, kind))| Array::of(*kind, rows.iter().map(|row| &row[n]))).collect())
    }

    fn refs(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0
            .iter()
            .map(|array| match array {
                Array::Int(values) => values as &(dyn ToSql + Sync),
                Array::Text(values) => values as &(dyn ToSql + Sync),
            })
            .collect()
    }
}

impl<'a> Array<'a> {
    fn of(kind: Kind, values: impl Iterator<Item = &'a Value>) -> Self {
        match kind {
            Kind::Int => Self::Int(
                values.map(|value| if let Value::Int(int) = value { Some(*int) } else { None }).collect(),
            ),
            Kind::Text => Self::Text(
                values
                    .map(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
                    .collect(),
            ),
        }
    }
}
