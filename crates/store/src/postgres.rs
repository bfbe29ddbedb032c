//! The PostgreSQL driver: one writer connection that groups, a pool for reads, one listener.
//!
//! Invariant: a call waits no longer than the server's patience, then says that the database is away.
//! Not here: what is written or read. TLS to the server is not offered yet.

mod writer;

pub(crate) use writer::write_groups;

use crate::Error;
use crate::catalogue::Planned;
use crate::sql::Select;
use crate::value::{Row, Value};
use crate::wake::Wake;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

/// Connections for reads.
const POOL_MAX: usize = 8;
/// The longest wait for a connection or an answer before the database counts as away, unless the URL's
/// `connect_timeout` says otherwise.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// A peer that vanished without a word is noticed after about twenty seconds instead of two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 2;
/// Pause before the listener connects again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);
/// The channel nodes tell each other commits on.
const CHANNEL: &str = "openevent";
/// The class of errors for transactions that were in each other's way.
const COLLISIONS: &str = "40";
/// A PostgreSQL server: where it is, and how long to wait for it.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    patience: Duration,
}

impl Server {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let mut config: Config = url.parse().map_err(|cause| Error::Refused(Box::new(cause)))?;
        let patience = config.get_connect_timeout().copied().unwrap_or(WAIT_MAX);
        config.connect_timeout(patience).tcp_user_timeout(patience);
        config.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_INTERVAL);
        config.keepalives_retries(KEEPALIVE_TRIES);
        Ok(Self { config, patience })
    }

    /// Opens a connection; the second half has to be polled for the first to work.
    pub(crate) async fn connect(&self) -> Result<(Client, Connection<Socket, NoTlsStream>), Error> {
        let opening = tokio::time::timeout(self.patience, self.config.connect(NoTls));
        opening.await.map_err(|cause| Error::Unavailable(cause.into()))?.map_err(error)
    }

    /// What the writer's session is told: should we vanish or give up, the server lets go of our locks too.
    fn session(&self) -> String {
        let patience_ms = self.patience.as_millis();
        format!(
            "SET statement_timeout = {patience_ms}; SET idle_in_transaction_session_timeout = {patience_ms}"
        )
    }
}

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

/// Connections for reads, opened when first needed.
pub(crate) struct Readers {
    pool: Pool,
    patience: Duration,
}

impl Readers {
    /// Readers of a server.
    pub(crate) fn of(server: &Server) -> Result<Self, Error> {
        let manager = Manager::from_config(
            server.config.clone(),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager).max_size(POOL_MAX).build();
        Ok(Self { pool: pool.map_err(|cause| Error::Refused(cause.into()))?, patience: server.patience })
    }

    /// Runs a statement that yields rows, or says within the server's patience that it is away.
    pub(crate) async fn query(&self, text: &str, args: &[Value]) -> Result<Vec<Row>, Error> {
        let deadline = Instant::now() + self.patience;
        let client = self.client(deadline).await?;
        match tokio::time::timeout_at(deadline, ask(&client, text, args)).await {
            Ok(answer) => answer,
            Err(elapsed) => {
                // Whoever got this connection next would wait behind our question.
                drop(Object::take(client));
                Err(Error::Unavailable(elapsed.into()))
            }
        }
    }

    /// How statements would be run if reading or sorting a whole table were no choice, as with large ones.
    pub(crate) async fn planned(&self, selects: Vec<Select>) -> Result<Vec<Planned>, Error> {
        // Taken out of the pool, so that nobody else gets its settings.
        let client = Object::take(self.client(Instant::now() + self.patience).await?);
        client.batch_execute("SET enable_seqscan = off; SET enable_sort = off").await.map_err(error)?;
        let mut planned = Vec::new();
        for Select { text, args } in selects {
            let args: Vec<&(dyn ToSql + Sync)> = args.iter().map(|arg| arg as _).collect();
            let rows = client.query(&format!("EXPLAIN (COSTS OFF) {text}"), &args).await.map_err(error)?;
            let steps = rows.iter().map(|row| row.try_get::<_, String>(0).map_err(error));
            let plan = steps.collect::<Result<Vec<_>, _>>()?.join("\n");
            planned.push(Planned { text, plan });
        }
        Ok(planned)
    }

    /// Prepares statements; answers those the server refuses, each with its words.
    pub(crate) async fn refused(&self, texts: Vec<String>) -> Result<Vec<String>, Error> {
        let client = self.client(Instant::now() + self.patience).await?;
        let mut refused = Vec::new();
        for text in texts {
            if let Err(cause) = client.prepare(&text).await {
                refused.push(format!("{text}: {cause}"));
            }
        }
        Ok(refused)
    }

    async fn client(&self, deadline: Instant) -> Result<Object, Error> {
        let client = tokio::time::timeout_at(deadline, self.pool.get()).await;
        client
            .map_err(|elapsed| Error::Unavailable(elapsed.into()))?
            .map_err(|cause| Error::Unavailable(cause.into()))
    }
}

async fn ask(client: &Object, text: &str, args: &[Value]) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(text).await.map_err(error)?;
    let args: Vec<&(dyn ToSql + Sync)> = args.iter().map(|arg| arg as _).collect();
    let rows = client.query(&statement, &args).await.map_err(error)?;
    rows.iter()
        .map(|row| {
            (0..row.len()).map(|n| row.try_get(n).map_err(error)).collect::<Result<_, _>>().map(Row::new)
        })
        .collect()
}

/// Listens for other nodes' commits for ever and stirs this one's waiters.
pub(crate) async fn listen(server: Server, wake: Arc<Wake>) {
    loop {
        if let Err(cause) = listen_once(&server, &wake).await {
            tracing::debug!(error = %cause, "the listening connection ended");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(server: &Server, wake: &Wake) -> Result<(), Error> {
    let (client, mut connection) = server.connect().await?;
    let subscribe = async { client.batch_execute(&format!("LISTEN {CHANNEL}")).await };
    tokio::pin!(subscribe);
    let mut subscribed = false;
    loop {
        tokio::select! {
            done = &mut subscribe, if !subscribed => {
                done.map_err(error)?;
                subscribed = true;
                wake.stir_from_elsewhere();
            }
            message = std::future::poll_fn(|context| connection.poll_message(context)) => match message {
                // Our own waiters were told with the commit.
                Some(Ok(AsyncMessage::Notification(from))) if from.payload() == wake.node() => {}
                Some(Ok(AsyncMessage::Notification(_))) => wake.stir_from_elsewhere(),
                Some(Ok(_)) => {}
                Some(Err(cause)) => return Err(error(cause)),
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
        Some("08" | "53" | "57" | "58" | COLLISIONS | "25") => Error::Unavailable(cause.into()),
        _ => Error::Refused(cause.into()),
    }
}
