//! Why a source is not read at the moment.
//!
//! Invariant: every one of these is tried again; none of them holds a password.
//! Not here: messages that can never become signals (see `message`); they are no failure of a source.

use crate::sink::SinkError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What an operator has to look at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server, its address, or the network between.
    #[error("the server cannot be reached")]
    Unreachable(#[source] Cause),
    /// The credentials.
    #[error("the server refuses the user or the password")]
    Credentials(#[source] Cause),
    /// What is asked of the server: a stream that is none, a table that is not there, a right that is missing.
    #[error("the server refuses what is asked of it")]
    Refused(#[source] Cause),
    /// The connection, which was open.
    #[error("the connection has ended")]
    Ended,
    /// This server's own database.
    #[error(transparent)]
    Sink(#[from] SinkError),
}
