//! One source, as it was configured.
//!
//! Invariant: valid by type: whoever has a [`Source`] can read it as far as its server lets him.
//! Not here: whose signals its messages become; the sink knows.

use crate::desk::Desk;
use crate::error::Error;
use crate::from_postgres::PostgresSource;
use crate::from_redis::RedisSource;
use std::fmt;
use tokio_util::sync::CancellationToken;

/// A source.
#[derive(Clone, Debug)]
pub struct Source {
    /// What people call it. Part of what its messages are known by, so a new name makes old messages new.
    pub name: String,
    /// What is read.
    pub kind: Kind,
}

/// Which server is read, and what of it.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Channels and streams of Redis.
    Redis(RedisSource),
    /// Notifications and an outbox of PostgreSQL.
    Postgres(PostgresSource),
}

impl Source {
    /// Whether its server can be reached and has what is to be read.
    pub async fn probe(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::Redis(redis) => redis.probe().await,
            Kind::Postgres(postgres) => postgres.probe().await,
        }
    }

    /// Reads until `round` is cancelled or something fails.
    pub(crate) async fn read(&self, desk: &Desk, round: &CancellationToken) -> Result<(), Error> {
        match &self.kind {
            Kind::Redis(redis) => redis.read(desk, round).await,
            Kind::Postgres(postgres) => postgres.read(desk, round).await,
        }
    }
}

/// What is read and where, without passwords.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(redis) => redis.fmt(f),
            Self::Postgres(postgres) => postgres.fmt(f),
        }
    }
}
