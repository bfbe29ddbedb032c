//! A request to send and the response that came back, as plain values.
//!
//! Invariant: a [`Response`] is complete: its body was read to the end, or to the cap if it says `truncated`.
//! Not here: anything about connections or addresses.

use std::{fmt, time::Duration};

use bytes::Bytes;

/// Whether a 301, 302, 303, 307 or 308 answer is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// The redirect itself is the response.
    Never,
    /// Up to [`crate::Limits::redirects_max`] hops, each resolved and checked anew.
    Follow,
}

/// What happens when an answer's body is longer than the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// The request fails with [`crate::Error::BodyTooLarge`].
    Fail,
    /// The first bytes are kept, `truncated` is set and the rest is not read.
    Truncate,
}

/// One HTTP request, sent once. Its debug form shows no values of headers, no query and no body: any of them
/// may be secret.
#[derive(Clone)]
pub struct Request {
    /// Any method but `CONNECT`.
    pub method: http::Method,
    /// Absolute `http` or `https` URL without user name or password.
    pub url: String,
    /// Header names and values; those that frame the message (`Host`, `Content-Length`, …) are refused.
    pub headers: Vec<(String, String)>,
    /// The body; empty means none.
    pub body: Bytes,
    /// Time for the whole exchange: lookup, connect, TLS, every redirect, the last byte of the body.
    pub deadline: Duration,
    /// Whether redirects are followed.
    pub redirects: Redirects,
    /// What to do with a body over the cap.
    pub body_over_limit: OverLimit,
    /// A cap in bytes below [`crate::Limits::response_bytes_max`]; a larger one has no effect.
    pub response_bytes_max: Option<usize>,
}

impl Request {
    /// A request without headers or body, 15 s deadline, redirects not followed, long bodies refused.
    pub fn new(method: http::Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            deadline: Duration::from_secs(15),
            redirects: Redirects::Never,
            body_over_limit: OverLimit::Fail,
            response_bytes_max: None,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url.split(['?', '#']).next().unwrap_or_default())
            .field("headers", &self.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What the other side answered. Its debug form shows no values of headers and no body.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code, never 1xx.
    pub status: u16,
    /// Header names in lower case, values with bytes outside UTF-8 replaced; repeated headers stay apart.
    pub headers: Vec<(String, String)>,
    /// The body as received, not decompressed.
    pub body: Bytes,
    /// The body was longer than the cap and only its beginning is here.
    pub truncated: bool,
    /// The URL that answered, after redirects.
    pub url: String,
}

impl Response {
    /// The first value of a header, whatever the case of `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("truncated", &self.truncated)
            .finish_non_exhaustive()
    }
}
