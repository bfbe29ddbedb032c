//! A connection, and the task that keeps it going.
//!
//! Invariant: the task ends with its handle.
//! Not here: what is said over it.

use super::error;
use crate::error::Error;
use std::future::poll_fn;
use tokio::task::{JoinError, JoinSet};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Notification, Socket};

/// An open connection.
pub(super) struct Line {
    /// Its speaking end.
    pub(super) client: Client,
    /// One task, aborted when dropped.
    carrier: JoinSet<Result<(), tokio_postgres::Error>>,
}

impl Line {
    /// Connects. `hear` is given every notification, and must not wait.
    pub(super) async fn open(
        config: &Config,
        hear: impl FnMut(Notification) + Send + 'static,
    ) -> Result<Self, Error> {
        let (client, connection) = config.connect(NoTls).await.map_err(error)?;
        let mut carrier = JoinSet::new();
        carrier.spawn(carry(connection, hear));
        Ok(Self { client, carrier })
    }

    /// Waits for the connection's end, which is never wanted.
    pub(super) async fn ended(&mut self) -> Error {
        match self.carrier.join_next().await {
            Some(Ok(Err(cause))) => error(cause),
            Some(Ok(Ok(())) | Err(JoinError { .. })) | None => Error::Ended,
        }
    }
}

async fn carry<S>(
    mut connection: Connection<Socket, S>,
    mut hear: impl FnMut(Notification),
) -> Result<(), tokio_postgres::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message? {
            hear(notification);
        }
    }
    Ok(())
}
