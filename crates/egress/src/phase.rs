//! How far an exchange had come when its time was up.
//!
//! Invariant: the mark is only ever a hint for messages; no decision hangs on it.
//! Not here: the deadlines themselves (`exchange.rs`, `connect.rs`).

use std::{cell::Cell, fmt};

/// A stage of an exchange, named in [`crate::Error::Timeout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The name is being looked up.
    Dns,
    /// The TCP connection is being opened.
    Connect,
    /// The proxy is being reached, or opens the connection.
    Proxy,
    /// The TLS handshake is under way.
    Tls,
    /// The request is being written or its answer awaited.
    Response,
    /// The answer's body is being read.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Dns => "looking up the name",
            Phase::Connect => "connecting",
            Phase::Proxy => "connecting through the proxy",
            Phase::Tls => "negotiating TLS",
            Phase::Response => "waiting for the answer",
            Phase::Body => "reading the answer",
        })
    }
}

tokio::task_local! {
    /// The stage the connector has reached for the request of this task. hyper's pool gives connectors no
    /// other way to speak about one request, and may go on connecting after the request has left.
    static CONNECTING: Cell<Phase>;
}

/// Runs `future` with a fresh mark for the connector; after it, [`connecting`] reads the mark.
pub(crate) async fn marked<F: Future>(future: F) -> F::Output {
    CONNECTING.scope(Cell::new(Phase::Connect), future).await
}

/// Called by the connector when it enters a stage.
pub(crate) fn enter(phase: Phase) {
    // Absent when the pool finishes a connection in the background: nobody is waiting for the mark then.
    let _ = CONNECTING.try_with(|mark| mark.set(phase));
}

/// The stage the connector reached, inside [`marked`].
pub(crate) fn connecting() -> Phase {
    CONNECTING.try_with(Cell::get).unwrap_or(Phase::Connect)
}
