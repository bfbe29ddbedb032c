//! Messages of other people's servers, read and handed over: Redis and PostgreSQL.
//!
//! Invariant: a message is acknowledged to its server only after the [`Sink`] has answered, and is handed over under
//! an id that stays the same however often its server gives it out. What can never become a signal is counted,
//! logged and acknowledged. Of many nodes the one that holds the [`Lease`] reads.
//! Not here: signals. Whoever implements [`Sink`] commits them; configuration files are read elsewhere too.

mod desk;
mod error;
mod from_postgres;
mod from_redis;
mod lease;
mod message;
mod naming;
mod pause;
mod runner;
mod sink;
mod source;

pub use error::Error;
pub use from_postgres::{BadPostgres, BadTable, PostgresSource, Table};
pub use from_redis::{BadRedis, GROUP, RedisSource};
pub use lease::{LEASE_MS, Lease, Leased};
pub use message::Message;
pub use naming::{BadNaming, Naming};
pub use runner::{Parts, start};
pub use sink::{Sink, SinkError, Taking, Verdict};
pub use source::{Kind, Source};
