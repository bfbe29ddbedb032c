//! This server's own operations, for workflows: what `call: openapi` with document `openevent:api` speaks to.
//!
//! Invariant: a call of a workflow passes the same router as everybody else's, with the rights of the run's project,
//! and never a socket.
//! Not here: the router; the server implements [`LocalApi`].

use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use serde_json::Value;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The document's name in definitions.
pub(super) const DOCUMENT: &str = "openevent:api";

/// A request of a run to its own server.
#[derive(Clone, Debug)]
pub struct LocalRequest {
    /// Whose run it is.
    pub tenant: Tenant,
    /// Which.
    pub run: RunId,
    /// Upper-case method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers, the operation's idempotency key among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The server's answer.
#[derive(Clone, Debug)]
pub struct LocalAnswer {
    /// Status code.
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, cut at the cap it was asked with.
    pub body: Vec<u8>,
}

/// A server that answers its own workflows.
pub trait LocalApi: Send + Sync + Debug {
    /// The OpenAPI document of everything that can be asked.
    fn document(&self) -> Arc<Value>;

    /// Answers one request; `None` when the answer is larger than `body_bytes_max`, or has no end.
    fn call(
        &self,
        request: LocalRequest,
        body_bytes_max: usize,
    ) -> Pin<Box<dyn Future<Output = Option<LocalAnswer>> + Send + '_>>;
}
