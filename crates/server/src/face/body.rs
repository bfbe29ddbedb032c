//! Reading bodies: size, time, content type, depth and syntax, before a handler sees anything.
//!
//! Invariant: no more than the limit is ever held in memory, and a body that stops arriving ends in 408.
//! Not here: what the fields mean (see `fields`), idempotency (see `idempotency`).

use super::mapping;
use super::problem::{Code, FieldIssue, Problem};
use axum::body::Body as Stream;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use openevent_domain::json::{DEPTH_MAX, deeper_than};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use std::time::Duration;

/// The largest body, unless an endpoint says otherwise.
pub const BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read away, so that the caller hears our answer.
const DRAINED_BYTES_MAX: usize = 16 * BYTES_MAX;
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// A body as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its bytes, at most the endpoint's limit.
    pub bytes: Bytes,
    /// Its content type without parameters, lower case; empty when there was none.
    pub kind: String,
    /// The request's headers.
    pub headers: HeaderMap,
}

/// What a body becomes.
pub trait Decode: Sized {
    /// The largest body.
    const BYTES_MAX: usize = BYTES_MAX;

    /// Whether a body of this content type (lower case, no parameters) is read at all.
    fn takes(kind: &str) -> bool;

    /// What makes two bodies the same to idempotency, which keeps a hash of it.
    fn identity(sent: &Sent) -> Bytes {
        sent.bytes.clone()
    }

    /// Reads it.
    fn decode(sent: Sent) -> Result<Self, Problem>;
}

/// Extracts a body, for everything but POST; a POST takes [`super::idempotency::Once`].
#[derive(Clone, Debug)]
pub struct Body<D>(pub D);

impl<D: Decode, S: Send + Sync> FromRequest<S> for Body<D> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        D::decode(receive::<D>(request).await?).map(Self)
    }
}

/// Any body, of any kind.
impl Decode for Sent {
    fn takes(_kind: &str) -> bool {
        true
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        Ok(sent)
    }
}

/// A JSON body.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Decode for Json<T> {
    fn takes(kind: &str) -> bool {
        is_json(kind)
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        // Over `Value`, where of two equal keys the last one wins.
        let value = json(&sent.bytes)?;
        serde_json::from_value(value).map(Self).map_err(|error| {
            Problem::new(Code::ValidationError, "Request validation failed")
                .with_details(vec![FieldIssue::new("body", error.to_string())])
        })
    }
}

/// A JSON body that may be left out; then it is `null`.
#[derive(Clone, Debug)]
pub struct MaybeJson(pub Value);

impl Decode for MaybeJson {
    fn takes(kind: &str) -> bool {
        is_json(kind)
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        if sent.bytes.is_empty() { Ok(Self(Value::Null)) } else { json(&sent.bytes).map(Self) }
    }
}

/// No body; one that is sent all the same is read and ignored.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Decode for Nothing {
    fn takes(_kind: &str) -> bool {
        true
    }

    fn decode(_sent: Sent) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// Whether a content type is JSON.
pub fn is_json(kind: &str) -> bool {
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Parses JSON, with the position of a mistake in the refusal.
pub fn json(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.is_empty() {
        return Err(Problem::bad_request("The body is empty; send a JSON document"));
    }
    if deeper_than(bytes, DEPTH_MAX) {
        return Err(Problem::bad_request(format!("The JSON nests deeper than {DEPTH_MAX} levels")));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            Category::Eof => "ends too early",
            Category::Syntax | Category::Data | Category::Io => "is broken",
        };
        let (line, column) = (error.line(), error.column());
        Problem::bad_request(format!("The JSON {what} at line {line}, column {column}"))
    })
}

/// Reads a request's body within the limits of `D`.
pub(crate) async fn receive<D: Decode>(request: Request) -> Result<Sent, Problem> {
    let (parts, body) = request.into_parts();
    let kind = kind_of(&parts.headers);
    if announced(&parts.headers) > D::BYTES_MAX {
        drain(body).await;
        return Err(too_large(D::BYTES_MAX));
    }
    if !D::takes(&kind) && may_have_body(&parts.headers) {
        drain(body).await;
        return Err(unread(&kind));
    }
    // The timer is only armed if the body has not arrived yet.
    match tokio::time::timeout(DEADLINE, collect(body, D::BYTES_MAX)).await {
        Ok(bytes) => Ok(Sent { bytes: bytes?, kind, headers: parts.headers }),
        Err(_elapsed) => Err(mapping::of_status(StatusCode::REQUEST_TIMEOUT)),
    }
}

async fn collect(mut body: Stream, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("The body ended before it was complete"))?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len) + rest.len();
        if so_far + data.len() > bytes_max {
            drain(body).await;
            return Err(too_large(bytes_max));
        }
        match &first {
            None => first = Some(data),
            Some(_) => rest.extend_from_slice(&data),
        }
    }
    let first = first.unwrap_or_default();
    if rest.is_empty() {
        return Ok(first);
    }
    Ok([first.as_ref(), rest.as_ref()].concat().into())
}

/// Reads a body away: closing a connection with unread bytes would take our answer with it.
pub(crate) async fn drain(mut body: Stream) {
    let away = async {
        let mut left = DRAINED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            if bytes > left {
                break;
            }
            left -= bytes;
        }
    };
    let _ = tokio::time::timeout(DRAIN_DEADLINE, away).await;
}

pub(crate) fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("The body is larger than {bytes_max} bytes"))
}

pub(crate) fn unread(kind: &str) -> Problem {
    let words = format!("`{kind}` is not read here; send application/json");
    Problem::new(Code::UnsupportedMediaType, words)
}

pub(crate) fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// A request without any body is not refused for its content type, but for its emptiness.
fn may_have_body(headers: &HeaderMap) -> bool {
    announced(headers) > 0 || headers.contains_key(http::header::TRANSFER_ENCODING)
}

/// What a body says it is; one that says nothing is JSON, which is what most clients forget to say.
pub(crate) fn kind_of(headers: &HeaderMap) -> String {
    let Some(value) = headers.get(CONTENT_TYPE) else { return "application/json".to_owned() };
    value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(json(br#"{"a":1,"a":2}"#).unwrap()["a"], 2);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let problem = json(b"{\"a\":\n tru}").unwrap_err();
        assert_eq!(problem.code(), Code::BadRequest);
        assert!(problem.message().contains("line 2"), "{}", problem.message());
        assert!(json(b"{\"a\":\"\0\"}").is_err(), "a raw NUL is no JSON");
        assert!(json(br#"{"a":"\u0000"}"#).is_ok());
    }

    #[test]
    fn depth_is_limited() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(json(deep(64).as_bytes()).is_ok());
        assert!(json(deep(65).as_bytes()).is_err());
        assert!(json(deep(1_000_000).as_bytes()).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_arriving_ends_in_408() {
        let begun = futures::stream::iter([Ok::<_, std::io::Error>("{\"a\":")]);
        let stuck = futures::StreamExt::chain(begun, futures::stream::pending());
        let request = Request::put("/").header(CONTENT_TYPE, "application/json");
        let request = request.body(Stream::from_stream(stuck)).unwrap();
        let problem = receive::<Json<Value>>(request).await.unwrap_err();
        assert_eq!(problem.code(), Code::RequestTimeout);
    }

    #[test]
    fn content_types_are_read_without_their_parameters() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "Application/JSON; charset=utf-8".parse().unwrap());
        assert!(is_json(&kind_of(&headers)) && is_json(&kind_of(&HeaderMap::new())));
        assert!(is_json("application/cloudevents+json") && !is_json("text/json") && !is_json(""));
    }
}
