//! What a [`super::Receiver`] answers, and how it behaves while answering.
//!
//! Invariant: an answer that is cut off announces its full length first, so the client can tell.
//! Not here: when to give which answer; that is the test's script.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Body, Frame};

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Answers at once.
    Prompt,
    /// Answers after a pause.
    After(Duration),
    /// Never answers; the connection stays open.
    Hang,
    /// Closes the connection halfway through the body.
    CloseMidBody,
    /// Stops halfway through the body; the connection stays open.
    HangMidBody,
}

/// One programmed answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers beside `Content-Length` and `Date`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How it is given.
    pub conduct: Conduct,
}

impl Answer {
    /// An empty answer with this status.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), conduct: Conduct::Prompt }
    }

    /// A 200 with a JSON body.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::status(200).header("content-type", "application/json").body(value.to_string())
    }

    /// A redirect to `location`.
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::status(status).header("location", location)
    }

    /// No answer at all.
    pub fn hang() -> Self {
        Self::status(200).conduct(Conduct::Hang)
    }

    /// The same with a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The same, given in this way.
    #[must_use]
    pub fn conduct(self, conduct: Conduct) -> Self {
        Self { conduct, ..self }
    }

    pub(super) fn into_wire(self) -> super::Wire {
        let length = self.body.len();
        let cut = matches!(self.conduct, Conduct::CloseMidBody | Conduct::HangMidBody);
        let mut wire =
            http::Response::new(if cut { partial(self.body, self.conduct) } else { whole(self.body) });
        *wire.status_mut() = StatusCode::from_u16(self.status).expect("a programmed status is 100..=999");
        if cut {
            wire.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(length.max(2)));
        }
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a programmed header name is valid");
            let value = HeaderValue::try_from(value).expect("a programmed header value is valid");
            wire.headers_mut().append(name, value);
        }
        wire
    }
}

/// Ends a body before its time.
#[derive(Debug)]
pub(super) struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut off as programmed")
    }
}

impl std::error::Error for CutOff {}

/// The answer to a request whose body broke off; nobody is there to read it.
pub(super) fn unreadable() -> super::Wire {
    let mut wire = http::Response::new(whole(Bytes::new()));
    *wire.status_mut() = StatusCode::BAD_REQUEST;
    wire
}

fn whole(body: Bytes) -> BoxBody<Bytes, CutOff> {
    Full::new(body).map_err(|never| match never {}).boxed()
}

fn partial(body: Bytes, conduct: Conduct) -> BoxBody<Bytes, CutOff> {
    let body = if body.len() < 2 { Bytes::from_static(b"..") } else { body };
    Half { first: Some(body.slice(..body.len() / 2)), flushed: false, conduct }.boxed()
}

/// The first half of a body, then its end or silence.
struct Half {
    first: Option<Bytes>,
    flushed: bool,
    conduct: Conduct,
}

impl Body for Half {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.conduct == Conduct::HangMidBody {
            return Poll::Pending;
        }
        // One turn of nothing, so that hyper flushes the half before it hears of the error.
        if !std::mem::replace(&mut self.flushed, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(CutOff)))
    }
}
