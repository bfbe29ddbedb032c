//! Test helpers shared by the crates of the workspace; a dev-dependency only.
//!
//! Invariant: everything listens on loopback, on a port the system chose, and ends when its handle is dropped.
//! Nothing here sleeps: waits end on an event, or fail loudly after [`PATIENCE`].
//! Deliberately not here: the server's own types. The kit knows the outside of things: HTTP, TCP, databases,
//! processes and time.

mod bad_receiver;
mod browser;
mod chaos_proxy;
mod clock;
mod connect_proxy;
mod databases;
mod http_client;
mod listener;
mod postgres_cluster;
mod receiver;
mod redis_server;
mod server_process;
mod temporal_server;
mod until;

use std::time::Duration;

pub use bad_receiver::{BadReceiver, Misbehaviour};
pub use browser::{Visit, visit};
pub use bytes::Bytes;
pub use chaos_proxy::ChaosProxy;
pub use clock::FakeClock;
pub use connect_proxy::{ConnectProxy, Tunnels};
pub use databases::{PostgresDatabase, SqliteFile, postgres_url, temp_sqlite};
pub use http_client::{Failure, HttpClient, Reply, Stream};
pub use postgres_cluster::PostgresCluster;
pub use receiver::{Answer, Conduct, Received, Receiver};
pub use redis_server::RedisServer;
pub use server_process::{ServerCommand, ServerProcess};
pub use temporal_server::{TemporalServer, ask_temporal, temporal_address};
pub use until::until;

/// How long a wait lasts before it panics: far longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
