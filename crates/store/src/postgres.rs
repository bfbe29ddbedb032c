//! The PostgreSQL driver: one writer connection that groups, a pool for reads, one listener.
//!
//! Invariant: a group travels as one pipeline, so it costs one or two round trips however many sets it holds.
//! A lost connection fails what was waiting with `Unavailable` and is opened again at the next group.
//! Not here: what is written or read. TLS to the server is not offered yet.

use crate::Error;
use crate::group::{self, Job, Plan};
use crate::sql::{Bulk, Dialect, Kind};
use crate::value::{Row, Value};
use crate::wake::Wake;
use crate::write::Expect;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Statement};
use tokio_util::task::TaskTracker;

/// Connections for reads.
const POOL_MAX: usize = 8;
/// The longest wait for a connection or an answer before the database counts as away.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Pause before the listener connects again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);
/// The channel nodes tell each other commits on.
const CHANNEL: &str = "openevent";

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(int) => int.to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INT8 || *ty == Type::TEXT || *ty == Type::VARCHAR
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Int),
            Type::INT4 => i32::from_sql(ty, raw).map(|int| Self::Int(i64::from(int))),
            _ => String::from_sql(ty, raw).map(Self::Text),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::TEXT | Type::VARCHAR | Type::NAME)
    }
}

/// Makes the read pool; connections are opened when first needed.
pub(crate) fn pool(config: &Config) -> Result<Pool, Error> {
    let manager = Manager::from_config(
        config.clone(),
        NoTls,
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let pool = Pool::builder(manager).max_size(POOL_MAX).runtime(deadpool_postgres::Runtime::Tokio1);
    let pool = pool.wait_timeout(Some(WAIT_MAX)).create_timeout(Some(WAIT_MAX));
    pool.build().map_err(|cause| Error::Refused(cause.into()))
}

/// Runs a statement that yields rows.
pub(crate) async fn query(pool: &Pool, text: &str, args: &[Value]) -> Result<Vec<Row>, Error> {
    let client = pool.get().await.map_err(|cause| Error::Unavailable(cause.into()))?;
    let statement = client.prepare_cached(text).await.map_err(error)?;
    let args: Vec<&(dyn ToSql + Sync)> = args.iter().map(|arg| arg as _).collect();
    let rows = client.query(&statement, &args).await.map_err(error)?;
    rows.iter()
        .map(|row| {
            (0..row.len()).map(|n| row.try_get(n).map_err(error)).collect::<Result<_, _>>().map(Row::new)
        })
        .collect()
}

/// The task that writes groups. It ends when every sender is gone.
pub(crate) async fn write_groups(
    config: Config,
    jobs: flume::Receiver<Job>,
    wake: Arc<Wake>,
    group_max: usize,
    tasks: TaskTracker,
) {
    let mut writer = Writer { config, tasks, connected: None };
    while let Ok(first) = jobs.recv_async().await {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(group_max - 1));
        writer.write_group(group, &wake).await;
    }
}

struct Writer {
    config: Config,
    tasks: TaskTracker,
    connected: Option<Connected>,
}

struct Connected {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Writer {
    async fn write_group(&mut self, jobs: Vec<Job>, wake: &Wake) {
        match self.transact(&Plan::of(&jobs)).await {
            Ok(()) => group::committed(jobs, wake),
            Err(cause) if cause.is_unavailable() => group::away(jobs, &cause),
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
    }

    async fn transact(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        let mut connected = match self.connected.take() {
            Some(connected) if !connected.client.is_closed() => connected,
            _ => connect(&self.config, &self.tasks).await?,
        };
        let done = match tokio::time::timeout(WAIT_MAX, connected.transact(plan)).await {
            Ok(done) => done,
            Err(elapsed) => Err(Error::Unavailable(elapsed.into())),
        };
        // After a failure of the connection itself nothing is known of it: begin with a new one.
        if !matches!(&done, Err(cause) if cause.is_unavailable()) {
            self.connected = Some(connected);
        }
        done
    }
}

async fn connect(config: &Config, tasks: &TaskTracker) -> Result<Connected, Error> {
    let opening = tokio::time::timeout(WAIT_MAX, config.connect(NoTls));
    let (client, connection) =
        opening.await.map_err(|cause| Error::Unavailable(cause.into()))?.map_err(error)?;
    tasks.spawn(async move {
        if let Err(cause) = connection.await {
            tracing::debug!(error = %cause, "the writer's connection ended");
        }
    });
    Ok(Connected { client, statements: HashMap::new() })
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
        let mut steps: Vec<Step<'_>> = Vec::with_capacity(plan.bulks.len() + plan.writes.len() + 3);
        steps.push(self.say("BEGIN"));
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
        if plan.stirs {
            steps.push(self.say("NOTIFY openevent"));
        }
        if commit {
            steps.push(self.say("COMMIT"));
        }
        let first_write = 1 + plan.bulks.len();
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

    fn say<'a>(&'a self, text: &'static str) -> Step<'a> {
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

/// Listens for other nodes' commits for ever and stirs this one's waiters.
pub(crate) async fn listen(config: Config, wake: Arc<Wake>) {
    loop {
        if let Err(cause) = listen_once(&config, &wake).await {
            tracing::debug!(error = %cause, "the listening connection ended");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(config: &Config, wake: &Wake) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let subscribe = async { client.batch_execute(&format!("LISTEN {CHANNEL}")).await };
    tokio::pin!(subscribe);
    let mut subscribed = false;
    loop {
        tokio::select! {
            done = &mut subscribe, if !subscribed => {
                done?;
                subscribed = true;
                wake.stir();
            }
            message = std::future::poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(_))) => wake.stir(),
                Some(Ok(_)) => {}
                Some(Err(cause)) => return Err(cause),
                None => return Ok(()),
            },
        }
    }
}

/// Sorts PostgreSQL's errors by what the caller can do.
pub(crate) fn error(cause: tokio_postgres::Error) -> Error {
    let Some(database) = cause.as_db_error() else {
        // Without an answer from the server the connection failed, or a value could not be sent: only
        // text with a NUL character does that, and it is refused before it comes here.
        return Error::Unavailable(cause.into());
    };
    let code = database.code();
    match code.code().get(..2) {
        _ if *code == SqlState::UNIQUE_VIOLATION => {
            Error::Exists { table: database.table().unwrap_or_default().to_owned() }
        }
        // Connection, resources, intervention by the operator, system error, serialisation, read-only.
        Some("08" | "53" | "57" | "58" | "40" | "25") => Error::Unavailable(cause.into()),
        _ => Error::Refused(cause.into()),
    }
}
