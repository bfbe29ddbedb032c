//! Opens connections: resolve, check, connect to the very address that was checked, then TLS if asked for.
//!
//! Invariant: between the policy's yes and `connect(2)`, or the `CONNECT` to a proxy, there is no second lookup; the socket
//! address is the value that was checked. Address literals take the same way as names.
//! Not here: pooling (hyper-util), the meaning of the policy (`policy.rs`), talking to the proxy (`proxy.rs`).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tower_service::Service;

use crate::{
    error::Cause,
    phase::{self, Phase},
    policy::{Policy, Refused},
    proxy::{self, Proxy},
    resolve::Resolve,
    tls::Tls,
};

/// Addresses of one name that are tried; the rest of a longer answer is ignored.
const ADDRESSES_MAX: usize = 8;

type Plain = TokioIo<TcpStream>;
type Opening<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

/// Why a connection could not be opened. Travels through hyper-util as a cause and is found again by type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Refused(Refused),
    #[error("name lookup")]
    Dns(#[source] io::Error),
    #[error("connect")]
    Connect(#[source] io::Error),
    #[error("proxy")]
    Proxy(#[source] proxy::Failed),
    #[error("TLS")]
    Tls(#[source] Cause),
    #[error("timed out while {0}")]
    Timeout(Phase),
}

impl Fault {
    /// Whether the next address of the host need not be tried.
    fn is_final(&self) -> bool {
        matches!(self, Self::Proxy(failed) if failed.is_final())
    }
}

/// Plain TCP connections to admitted addresses.
#[derive(Clone)]
pub(crate) struct Tcp {
    pub(crate) policy: Policy,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) proxy: Option<Arc<Proxy>>,
    /// For lookup, connection and TLS together.
    pub(crate) connect_max: Duration,
}

impl Tcp {
    async fn open(self, uri: Uri) -> Result<Plain, Fault> {
        let until = Instant::now() + self.connect_max;
        let encrypted = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let host = uri.host().unwrap_or_default();
        let targets = self.admitted(host).await?;
        let stream = self.first_open(host, &targets, port, until).await?;
        stream.set_nodelay(true).map_err(Fault::Connect)?;
        if encrypted {
            phase::enter(Phase::Tls);
        }
        Ok(TokioIo::new(stream))
    }

    /// The addresses of `host` that the policy admits; refused if there are others only.
    async fn admitted(&self, host: &str) -> Result<Vec<IpAddr>, Fault> {
        let mut targets = self.addresses(host).await?;
        let mut refused = None;
        targets.retain(|ip| self.policy.check(*ip).map_err(|why| refused = Some(why)).is_ok());
        targets.truncate(ADDRESSES_MAX);
        match refused {
            Some(why) if targets.is_empty() => Err(Fault::Refused(why)),
            _ if targets.is_empty() => Err(Fault::Dns(io::ErrorKind::NotFound.into())),
            _ => Ok(targets),
        }
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Fault> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = bare.parse() {
            return Ok(vec![ip]);
        }
        phase::enter(Phase::Dns);
        self.resolver.resolve(host).await.map_err(Fault::Dns)
    }

    /// Tries the addresses in order. Each gets an equal share of the time that is left, so that one which
    /// swallows packets does not keep the next from being tried.
    async fn first_open(
        &self,
        host: &str,
        targets: &[IpAddr],
        port: u16,
        until: Instant,
    ) -> Result<TcpStream, Fault> {
        let mut last = Fault::Timeout(Phase::Connect);
        for (done, ip) in targets.iter().enumerate() {
            let left = until.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(targets.len() - done).unwrap_or(u32::MAX);
            let address = SocketAddr::new(*ip, port);
            match timeout_at(Instant::now() + share, self.reach(host, address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(fault)) if fault.is_final() => return Err(fault),
                Ok(Err(fault)) => last = fault,
                Err(_) => last = Fault::Timeout(phase::connecting()),
            }
        }
        Err(last)
    }

    /// Connects to one admitted address of `host`, through the proxy if it is for it.
    async fn reach(&self, host: &str, address: SocketAddr) -> Result<TcpStream, Fault> {
        if let Some(proxy) = self.proxy.as_ref().filter(|proxy| proxy.carries(host, address.ip())) {
            phase::enter(Phase::Proxy);
            proxy.tunnel(address, self.resolver.as_ref()).await.map_err(Fault::Proxy)
        } else {
            phase::enter(Phase::Connect);
            TcpStream::connect(address).await.map_err(Fault::Connect)
        }
    }
}

impl Service<Uri> for Tcp {
    type Response = Plain;
    type Error = Fault;
    type Future = Opening<Plain>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

/// The connector handed to hyper-util: TCP or TLS, both within the limit on connecting.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: Tcp,
    tls: Arc<Tls>,
}

impl Connector {
    pub(crate) fn new(tcp: Tcp, tls: Tls) -> Self {
        Self { tcp, tls: Arc::new(tls) }
    }

    async fn open(self, uri: Uri) -> Result<MaybeHttpsStream<Plain>, Fault> {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return self.tcp.open(uri).await.map(MaybeHttpsStream::Http);
        }
        let config = self.tls.config().await.map_err(Fault::Tls)?;
        let opened = HttpsConnector::from((self.tcp, config)).call(uri).await;
        opened.map_err(|cause| match cause.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(handshake) => Fault::Tls(handshake),
        })
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Plain>;
    type Error = Fault;
    type Future = Opening<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let limit = this.tcp.connect_max;
            timeout(limit, this.open(uri)).await.unwrap_or_else(|_| Err(Fault::Timeout(phase::connecting())))
        })
    }
}
