//! Databases for one test each.
//!
//! Invariant: no two tests share one, and a missing PostgreSQL fails the test instead of skipping it.
//! Not here: schemas and migrations; those are the store's.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio_postgres::NoTls;
use url::Url;
use uuid::Uuid;

/// Names the maintenance URL of a PostgreSQL server that tests may create databases on.
const VARIABLE: &str = "OPENEVENT_TEST_DATABASE_URL";

/// A path for an SQLite file in a directory of its own, removed on drop.
#[derive(Debug)]
pub struct SqliteFile {
    dir: TempDir,
}

impl SqliteFile {
    /// Where the database file belongs; it does not exist yet.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("openevent.db")
    }

    /// The directory around it, good as `--data-dir`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// A fresh place for an SQLite database.
pub fn temp_sqlite() -> SqliteFile {
    let dir = tempfile::Builder::new().prefix("openevent-test-").tempdir();
    SqliteFile { dir: dir.expect("a temporary directory") }
}

/// A PostgreSQL database of its own, dropped with the guard.
#[derive(Debug)]
pub struct PostgresDatabase {
    url: String,
    name: String,
    maintenance: Url,
}

impl PostgresDatabase {
    /// `postgres://…` of this database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same database through another address, a [`crate::ChaosProxy`] say.
    pub fn url_through(&self, address: std::net::SocketAddr) -> String {
        let mut url = Url::parse(&self.url).expect("our own URL");
        url.set_ip_host(address.ip())
            .and_then(|()| url.set_port(Some(address.port())))
            .expect("a URL with a host");
        url.into()
    }

    /// Runs statements in it, from a connection of their own.
    pub async fn run(&self, sql: &str) {
        let url = Url::parse(&self.url).expect("our own URL");
        execute(&url, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The server's address, for a proxy to stand before; panics if the URL names a socket directory.
    pub async fn server_address(&self) -> std::net::SocketAddr {
        let host = self.maintenance.host_str().expect("the test database URL has a host");
        let port = self.maintenance.port().unwrap_or(5432);
        let mut found =
            tokio::net::lookup_host((host, port)).await.expect("the test database's host resolves");
        found.next().expect("the test database's host has an address")
    }
}

/// Creates a database with a name nobody else has.
///
/// Panics when `OPENEVENT_TEST_DATABASE_URL` is not set: a test that silently did not run proves nothing.
pub async fn postgres_url() -> PostgresDatabase {
    let maintenance = maintenance_url();
    let name = format!("oe_test_{}", Uuid::now_v7().simple());
    // From template0, which nobody can be connected to: creation never has to wait for a neighbour.
    execute(&maintenance, &format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await
        .expect("a new database");
    let mut url = maintenance.clone();
    url.set_path(&name);
    PostgresDatabase { url: url.into(), name, maintenance }
}

#[expect(clippy::disallowed_methods, reason = "the test command passes the server's URL in the environment")]
fn maintenance_url() -> Url {
    let Ok(text) = std::env::var(VARIABLE) else {
        panic!(
            "{VARIABLE} is not set: run the tests with `cargo xtask test`, which starts a PostgreSQL for them"
        )
    };
    Url::parse(&text).unwrap_or_else(|error| panic!("{VARIABLE} is not a URL: {error}"))
}

async fn execute(maintenance: &Url, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(maintenance.as_str(), NoTls).await?;
    let work = async {
        let done = client.batch_execute(sql).await;
        drop(client);
        done
    };
    let (done, _) = tokio::join!(work, connection);
    done
}

impl Drop for PostgresDatabase {
    /// Best effort: a leftover database costs disk, not correctness.
    fn drop(&mut self) {
        let (maintenance, name) = (self.maintenance.clone(), std::mem::take(&mut self.name));
        // On a thread, because a drop inside a runtime can neither await nor block on it.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| {
                let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                runtime.block_on(execute(&maintenance, &sql)).is_ok()
            })
        });
        let _ = thread.join();
    }
}
