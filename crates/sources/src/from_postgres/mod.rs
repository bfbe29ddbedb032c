//! PostgreSQL: what another's database notifies of, and the outbox it fills.
//!
//! Invariant: this is never our own database; printing a source shows no password.
//! Not here: hearing notifications (`channels`), emptying the outbox (`outbox`). TLS is not offered yet.

mod channels;
mod line;
mod outbox;
mod sql;

pub use sql::{BadTable, Table};

use crate::desk::Desk;
use crate::error::Error;
use crate::naming::Naming;
use line::Line;
use std::fmt;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

/// The longest wait for a connection, unless the address says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// A peer that vanished without a word is noticed after about twenty seconds instead of two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 2;
/// The class of answers about users and passwords.
const CREDENTIALS: &str = "28";

/// A PostgreSQL server, and what is read there.
#[derive(Clone)]
pub struct PostgresSource {
    config: Config,
    channels: Vec<String>,
    outbox: Option<Table>,
    naming: Naming,
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadPostgres {
    /// The address. Its text is not repeated: it may hold a password.
    #[error("it is not like postgres://user:password@127.0.0.1:5432/database")]
    Url,
    /// It asks for TLS.
    #[error("TLS is not offered yet: leave `sslmode` out, and connect through a tunnel or a private network")]
    Tls,
    /// Nothing to read.
    #[error("it names neither channels nor an outbox")]
    Nothing,
}

impl PostgresSource {
    /// Reads an address.
    pub fn new(
        url: &str,
        channels: Vec<String>,
        outbox: Option<Table>,
        naming: Naming,
    ) -> Result<Self, BadPostgres> {
        if channels.is_empty() && outbox.is_none() {
            return Err(BadPostgres::Nothing);
        }
        let mut config: Config = url.parse().map_err(|_| BadPostgres::Url)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(BadPostgres::Tls);
        }
        let patience = config.get_connect_timeout().copied().unwrap_or(PATIENCE);
        config.connect_timeout(patience).tcp_user_timeout(patience).application_name("openevent");
        config.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_INTERVAL);
        config.keepalives_retries(KEEPALIVE_TRIES);
        Ok(Self { config, channels, outbox, naming })
    }

    /// Whether the server lets us in and has the outbox.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let line = Line::open(&self.config, |_| ()).await?;
        match &self.outbox {
            Some(table) => line.client.batch_execute(&table.look()).await.map_err(error),
            None => Ok(()),
        }
    }

    /// Reads channels and outbox until `round` is cancelled; when one of the two fails, both end.
    pub(crate) async fn read(&self, desk: &Desk, round: &CancellationToken) -> Result<(), Error> {
        let hearing = async {
            let end = if self.channels.is_empty() { Ok(()) } else { channels::hear(self, desk, round).await };
            end.inspect_err(|_| round.cancel())
        };
        let emptying = async {
            let end = match &self.outbox {
                Some(table) => outbox::empty(self, table, desk, round).await,
                None => Ok(()),
            };
            end.inspect_err(|_| round.cancel())
        };
        let (heard, emptied) = tokio::join!(hearing, emptying);
        heard.and(emptied)
    }
}

/// Sorts the library's errors by who has to do something.
fn error(cause: tokio_postgres::Error) -> Error {
    let code = cause.code().map(SqlState::code);
    if code.is_some_and(|code| code.starts_with(CREDENTIALS)) {
        Error::Credentials(cause.into())
    } else if code.is_some() {
        Error::Refused(cause.into())
    } else {
        Error::Unreachable(cause.into())
    }
}

impl fmt::Display for PostgresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        });
        write!(f, "postgres at {}", hosts.collect::<Vec<_>>().join(" "))?;
        if let [port] = self.config.get_ports() {
            write!(f, ":{port}")?;
        }
        if let Some(database) = self.config.get_dbname() {
            write!(f, "/{database}")?;
        }
        if !self.channels.is_empty() {
            write!(f, ", channels {}", self.channels.join(" "))?;
        }
        if let Some(table) = &self.outbox {
            write!(f, ", outbox {table}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresSource({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str, channels: &[&str], outbox: Option<&str>) -> Result<PostgresSource, BadPostgres> {
        let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
        let outbox = outbox.map(|name| Table::parse(name).unwrap());
        PostgresSource::new(url, channels, outbox, Naming::dotted())
    }

    #[test]
    fn printing_a_source_shows_no_password() {
        let source = source("postgres://me:hush@db:7/shop", &["a", "b"], Some("app.outbox")).unwrap();
        assert_eq!(source.to_string(), "postgres at db:7/shop, channels a b, outbox app.outbox");
        assert!(!format!("{source:?}").contains("hush"));
    }

    #[test]
    fn a_bad_address_is_refused_without_being_repeated() {
        let refused = source("http://me:hush@db", &["a"], None).unwrap_err();
        assert!(matches!(refused, BadPostgres::Url) && !refused.to_string().contains("hush"));
        assert!(matches!(source("postgres://db/x?sslmode=require", &["a"], None), Err(BadPostgres::Tls)));
        assert!(matches!(source("postgres://db/x", &[], None), Err(BadPostgres::Nothing)));
    }
}
