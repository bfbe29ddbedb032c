//! Migrations: the same names in the same order for both databases, each applied once.
//!
//! Invariant: a migration that was released is never edited; the pair has one name. One that is not known here is no
//! obstacle, unless it was marked as required: the previous version works on the schema of the next.
//! Not here: changing data in code; migrations are SQL only.

use crate::Error;
use crate::postgres::Server;
use crate::sql::Dialect;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio_postgres::Client;

struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($name:literal),+ $(,)?) => {
        &[$(Migration {
            name: $name,
            sqlite: include_str!(concat!("migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("migrations/postgres/", $name, ".sql")),
        }),+]
    };
}

const ALL: &[Migration] = migrations![
    "0001_spine",
    "0002_secrets",
    "0003_workflows",
    "0004_planning",
    "0005_event_parts",
    "0006_directory",
    "0007_applications",
    "0008_users",
    "0009_audit",
    "0009_import",
    "0010_webhooks",
    "0011_sources",
    "0012_search_dropped",
    "0013_search",
    "0014_rate_leases",
    "0015_required_migrations",
    "0016_run_requests",
    "0017_handover",
    "0018_search_words",
];

const SEEN: &str = "SELECT name FROM schema_migrations WHERE name = $1";
const REQUIRED: &str = "SELECT name FROM schema_migrations WHERE required = 1";
const HISTORY: &str =
    "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)";
/// PostgreSQL: one node migrates, the others wait for it.
const LOCK: &str = "SELECT pg_advisory_lock(7310453)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7310453)";

/// The names, oldest first.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|migration| migration.name).collect()
}

impl Migration {
    /// The migration and the note of it, for one transaction.
    fn script(&self, dialect: Dialect, now: i64) -> String {
        let body = match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        };
        let name = self.name;
        format!("{body}\n;INSERT INTO schema_migrations (name, applied_at) VALUES ('{name}', {now});")
    }
}

/// Applies what is missing to a SQLite file. Answers the names applied.
pub(crate) fn sqlite(connection: &Connection, now: i64) -> Result<Vec<&'static str>, Error> {
    connection.execute_batch(HISTORY).map_err(crate::sqlite::error)?;
    let is_missing = |migration: &Migration| {
        crate::sqlite::query(connection, SEEN, &[migration.name.into()]).map(|rows| rows.is_empty())
    };
    let mut applied = Vec::new();
    for migration in ALL {
        if !is_missing(migration)? {
            continue;
        }
        // Another process may migrate at this moment: whoever holds the lock looks again.
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
            .map_err(crate::sqlite::error)?;
        if is_missing(migration)? {
            connection
                .execute_batch(&migration.script(Dialect::Sqlite, now))
                .map_err(crate::sqlite::error)?;
            applied.push(migration.name);
        }
        transaction.commit().map_err(crate::sqlite::error)?;
    }
    let required = crate::sqlite::query(connection, REQUIRED, &[])?;
    let required: Result<Vec<String>, Error> = required.into_iter().map(|mut row| row.text()).collect();
    check(required?)?;
    Ok(applied)
}

/// Refuses a database whose changes need a version that knows more than this one.
fn check(required: Vec<String>) -> Result<(), Error> {
    let is_unknown = |name: &String| !ALL.iter().any(|migration| migration.name == name);
    required.into_iter().find(is_unknown).map_or(Ok(()), |migration| Err(Error::Newer { migration }))
}

/// Applies what is missing to a PostgreSQL database. Answers the names applied.
pub(crate) async fn postgres(server: &Server, now: i64) -> Result<Vec<&'static str>, Error> {
    let (client, connection) = server.connect().await?;
    let work = async {
        client.batch_execute(LOCK).await?;
        let done = postgres_locked(&client, now).await;
        client.batch_execute(UNLOCK).await?;
        drop(client);
        done
    };
    let (done, ended) = tokio::join!(work, connection);
    if let Err(cause) = ended {
        tracing::debug!(error = %cause, "the migrating connection ended");
    }
    let (applied, required) = done.map_err(crate::postgres::error)?;
    check(required)?;
    Ok(applied)
}

/// Answers the names applied, and those that are required.
async fn postgres_locked(
    client: &Client,
    now: i64,
) -> Result<(Vec<&'static str>, Vec<String>), tokio_postgres::Error> {
    client.batch_execute(HISTORY).await?;
    let mut applied = Vec::new();
    for migration in ALL {
        if client.query(SEEN, &[&migration.name]).await?.is_empty() {
            let script = migration.script(Dialect::Postgres, now);
            client.batch_execute(&format!("BEGIN;\n{script}\nCOMMIT;")).await?;
            applied.push(migration.name);
        }
    }
    let required = client.query(REQUIRED, &[]).await?;
    let required = required.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok((applied, required))
}
