//! An HTTP server that records what it is sent and answers as the test wants.
//!
//! Invariant: a request is recorded, whole, before its answer begins; `requests()` is in that order.
//! Not here: servers that break HTTP itself (`bad_receiver.rs`).

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{PATIENCE, listener::Listener};

mod answer;
mod tls;

pub use answer::{Answer, Conduct};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its place in the order of arrival, from 0.
    pub order: usize,
    /// The method.
    pub method: Method,
    /// Path and query as sent.
    pub target: String,
    /// The headers as sent.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The client's end of the connection: equal for requests on one connection.
    pub peer: SocketAddr,
}

impl Received {
    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The body as JSON; panics if it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the received body is JSON")
    }
}

type Script = dyn Fn(&Received, usize) -> Answer + Send + Sync;

struct State {
    seen: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    script: Mutex<Arc<Script>>,
}

/// A recording HTTP/1.1 server on 127.0.0.1. Answers 200 with an empty body until told otherwise.
pub struct Receiver {
    listener: Listener,
    state: Arc<State>,
    certificate: Option<String>,
}

impl Receiver {
    /// Starts on a free port.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// Starts on a free port, over TLS, with a certificate of its own for a name or an address.
    pub async fn start_tls(name: &str) -> Self {
        Self::listen(Some(tls::Identity::of(name))).await
    }

    async fn listen(identity: Option<tls::Identity>) -> Self {
        let state = Arc::new(State {
            seen: Mutex::default(),
            count: watch::Sender::new(0),
            script: Mutex::new(Arc::new(|_: &Received, _| Answer::status(200))),
        });
        let shared = Arc::clone(&state);
        let acceptor = identity.as_ref().map(|identity| identity.acceptor.clone());
        let listener =
            Listener::start(move |stream| serve(stream, acceptor.clone(), Arc::clone(&shared))).await;
        Self { listener, state, certificate: identity.map(|identity| identity.pem) }
    }

    /// The certificate it shows, as PEM; panics if it does without TLS.
    pub fn certificate(&self) -> &str {
        self.certificate.as_deref().expect("a receiver over TLS")
    }

    /// From now on answers with what `script` makes of a request and its number (from 0).
    pub fn answer_with(&self, script: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) {
        *self.state.script.lock() = Arc::new(script);
    }

    /// Everything received so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.state.seen.lock().clone()
    }

    /// How many requests were received so far.
    pub fn count(&self) -> usize {
        *self.state.count.borrow()
    }

    /// Waits until `count` requests or more have arrived and returns all of them; panics after [`PATIENCE`].
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut arrived = self.state.count.subscribe();
        let enough = timeout(PATIENCE, arrived.wait_for(|seen| *seen >= count)).await.is_ok();
        assert!(enough, "only {} of {count} requests arrived", self.count());
        self.requests()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Its `http` URL for a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let Ok(peer) = stream.peer_addr() else { return };
    let Some(acceptor) = tls else { return converse(stream, peer, state).await };
    // A client that does not trust us leaves during the handshake.
    if let Ok(stream) = acceptor.accept(stream).await {
        converse(stream, peer, state).await;
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, state: Arc<State>) {
    let service = service_fn(|request| handle(request, peer, Arc::clone(&state)));
    // An error is the client leaving, or an answer cut off on purpose.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Wire = http::Response<BoxBody<Bytes, answer::CutOff>>;

async fn handle(
    request: http::Request<Incoming>,
    peer: SocketAddr,
    state: Arc<State>,
) -> Result<Wire, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(answer::unreadable()) };
    let target = head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string);
    let mut received = Received {
        order: 0,
        method: head.method,
        target,
        headers: head.headers,
        body: body.to_bytes(),
        peer,
    };
    {
        let mut seen = state.seen.lock();
        received.order = seen.len();
        seen.push(received.clone());
        state.count.send_replace(seen.len());
    }
    let script = Arc::clone(&state.script.lock());
    let answer = script(&received, received.order);
    match answer.conduct {
        Conduct::Hang => std::future::pending().await,
        Conduct::After(delay) => wait(delay).await,
        Conduct::Prompt | Conduct::CloseMidBody | Conduct::HangMidBody => {}
    }
    Ok(answer.into_wire())
}

/// The one place where the kit lets time pass: a test asked for a slow server.
async fn wait(delay: Duration) {
    tokio::time::sleep(delay).await;
}
