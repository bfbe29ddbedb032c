//! Another's database, with somebody who writes to it.
//!
//! Invariant: one database a test; what is written is committed when a call returns.
//! Not here: our own database.

use openevent_sources::{Kind, Naming, PostgresSource, Table};
use openevent_testkit::{PostgresDatabase, postgres_url, until};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

pub(crate) const OUTBOX: &str = "openevent_outbox";

/// See the file.
pub(crate) struct Shop {
    url: String,
    client: Arc<Client>,
    _carrier: JoinSet<()>,
    _database: Option<PostgresDatabase>,
}

impl Shop {
    /// A new, empty database.
    pub(crate) async fn open() -> Self {
        let database = postgres_url().await;
        let shop = Self::at(database.url()).await;
        Self { _database: Some(database), ..shop }
    }

    /// A database that is there.
    pub(crate) async fn at(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the database is there");
        let mut carrier = JoinSet::new();
        carrier.spawn(async move { drop(connection.await) });
        Self { url: url.to_owned(), client: Arc::new(client), _carrier: carrier, _database: None }
    }

    /// A new database with an outbox, made by what we print.
    pub(crate) async fn with_outbox() -> Self {
        let shop = Self::open().await;
        shop.run(&outbox().make()).await;
        shop
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Puts numbered rows into the outbox.
    pub(crate) async fn write(&self, first: i64, last: i64) {
        self.run(&format!(
            "INSERT INTO {OUTBOX} (name, payload) \
             SELECT 'order.created', jsonb_build_object('n', n) FROM generate_series({first}, {last}) n"
        ))
        .await;
    }

    /// Waits until the outbox is empty.
    pub(crate) async fn is_emptied(&self) {
        until("the outbox is empty", async || {
            (self.count(&format!("SELECT count(*) FROM {OUTBOX}")).await == 0).then_some(())
        })
        .await;
    }

    /// Waits until somebody listens to a channel.
    pub(crate) async fn is_listened_to(&self, channel: &str) {
        let asked = format!(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND state = 'idle' AND query = 'LISTEN \"{channel}\"'"
        );
        until("somebody listens", async || (self.count(&asked).await > 0).then_some(())).await;
    }

    /// Ends every connection of the readers, at once.
    pub(crate) fn cutter(&self) -> impl Fn() + Send + Sync + 'static {
        let client = Arc::clone(&self.client);
        move || {
            let cut = client.batch_execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name = 'openevent'",
            );
            let handle = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| handle.block_on(cut)).expect("they can be ended");
        }
    }

    pub(crate) fn source(&self, channels: &[&str], outbox: Option<Table>) -> Kind {
        source(&self.url, channels, outbox)
    }
}

/// A source on a database.
pub(crate) fn source(url: &str, channels: &[&str], outbox: Option<Table>) -> Kind {
    let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
    let postgres = PostgresSource::new(url, channels, outbox, Naming::dotted());
    Kind::Postgres(postgres.expect("a source"))
}

pub(crate) fn outbox() -> Table {
    Table::parse(OUTBOX).expect("a table's name")
}
