//! The client: a pool of kept-alive connections behind one policy.
//!
//! Invariant: a pooled connection was admitted by the same policy that would judge a new one, because a
//! client has exactly one. A request that hyper returns as never sent (the peer had closed the idle
//! connection) is sent again on another connection; one that may have been sent never is.
//! Not here: retries that could repeat a request.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::Client as Pool,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::pki_types::CertificateDer;

use crate::{
    connect::{Connector, Tcp},
    error::Error,
    exchange,
    limits::Limits,
    message::{Request, Response},
    policy::Policy,
    proxy::Proxy,
    resolve::{Resolve, SystemResolver},
    stream::Stream,
    tls::Tls,
};

/// hyper refuses to work with smaller read buffers.
const HEADER_BYTES_FLOOR: usize = 8 * 1024;

/// Sends requests. Cheap to clone; clones share connections. Must be used inside a tokio runtime.
#[derive(Clone)]
pub struct Client {
    pool: Pool<Connector, Full<Bytes>>,
    limits: Arc<Limits>,
}

/// What a client is built from beside policy and limits.
#[derive(Clone, Default)]
pub struct Setup {
    /// Looks up names; the system's resolver if absent.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Certificate authorities trusted beside the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// What connections go through; none if absent.
    pub proxy: Option<Proxy>,
}

impl Client {
    /// A client that resolves and trusts as the system does.
    pub fn new(policy: Policy, limits: Limits) -> Self {
        Self::with_setup(policy, limits, Setup::default())
    }

    /// A client with its own resolver, further trusted roots or a proxy.
    pub fn with_setup(policy: Policy, limits: Limits, setup: Setup) -> Self {
        let resolver = setup.resolver.unwrap_or_else(|| Arc::new(SystemResolver::new(limits.lookups_max)));
        let tls = Tls::new(setup.extra_roots);
        let proxy = setup.proxy.map(Arc::new);
        let connect_max = Duration::from_millis(limits.connect_ms_max);
        let tcp = Tcp { policy, resolver, proxy, connect_max };
        let pool = Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(limits.idle_ms_max))
            .pool_max_idle_per_host(limits.idle_connections_per_host_max)
            .http1_max_buf_size(limits.response_header_bytes_max.max(HEADER_BYTES_FLOOR))
            .retry_canceled_requests(true)
            .build(Connector::new(tcp, tls));
        Self { pool, limits: Arc::new(limits) }
    }

    /// Sends one request and reads its whole answer, within its deadline.
    ///
    /// Dropping the future closes the connection it was using. Errors: see [`Error`].
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        exchange::run(&self.pool, &self.limits, request).await
    }

    /// Sends one request and gives its answer as it comes; the deadline is for the head, and for each piece of the body.
    /// Redirects are not followed, and no cap holds.
    pub async fn open(&self, request: Request) -> Result<Stream, Error> {
        exchange::open(&self.pool, request).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limits", &self.limits).finish_non_exhaustive()
    }
}
