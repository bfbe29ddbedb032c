//! The tests' own HTTP client, so that nothing under test checks itself.
//!
//! Invariant: what is sent is what the test wrote; no redirects, no cookies, no headers beside `Host` and
//! `Content-Length`.
//! Not here: TLS. Everything a test talks to is on loopback.

use std::{fmt, future::poll_fn, pin::Pin};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use crate::PATIENCE;

/// A keep-alive HTTP/1.1 client. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    pool: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// The headers as sent.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; panics, showing it, if it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl HttpClient {
    /// A client without connections yet.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { pool: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Sends a request and reads the whole answer; panics when there is none within [`crate::PATIENCE`].
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.try_request(method.clone(), url, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {url}: {error}"))
    }

    /// As [`HttpClient::request`], for servers that may go down meanwhile.
    pub async fn try_request(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, Failure> {
        let exchange = async {
            let answer = self.pool.request(build(method, url, headers, body.into())).await?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
        };
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(Failure("no answer in time".into())))
    }

    /// `GET`.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Reply {
        self.request(Method::GET, url, headers, Bytes::new()).await
    }

    /// `POST` of a JSON body.
    pub async fn post_json(&self, url: &str, headers: &[(&str, &str)], body: &serde_json::Value) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.request(Method::POST, url, &all, body.to_string()).await
    }

    /// `GET` of an answer that does not end, such as server-sent events.
    pub async fn stream(&self, url: &str, headers: &[(&str, &str)]) -> Stream {
        let request = build(Method::GET, url, headers, Bytes::new());
        let answer = timeout(PATIENCE, self.pool.request(request)).await.expect("an answer in time");
        let (head, body) = answer.unwrap_or_else(|error| panic!("GET {url}: {error}")).into_parts();
        Stream { status: head.status.as_u16(), headers: head.headers, body, read: Vec::new() }
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub struct Failure(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |cause| cause.source());
        causes.into_iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// An answer still being written.
#[derive(Debug)]
pub struct Stream {
    /// Status code.
    pub status: u16,
    /// The headers as sent.
    pub headers: HeaderMap,
    body: Incoming,
    read: Vec<u8>,
}

impl Stream {
    /// The text up to and without the next `separator` (a blank line, `"\n\n"`, for server-sent events), or
    /// `None` at the end; panics after [`crate::PATIENCE`].
    pub async fn next_until(&mut self, separator: &str) -> Option<String> {
        loop {
            let found = self.read.windows(separator.len()).position(|window| window == separator.as_bytes());
            if let Some(at) = found {
                let mut piece: Vec<u8> = self.read.drain(..at + separator.len()).collect();
                piece.truncate(at);
                return Some(String::from_utf8_lossy(&piece).into_owned());
            }
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let frame = timeout(PATIENCE, frame).await.expect("more of the stream in time")?.ok()?;
            self.read.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
    }
}

fn build(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body)).expect("the test's own request is valid")
}
