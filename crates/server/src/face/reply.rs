//! Answers that went well: the envelope, `meta`, `Location`, `ETag`.
//!
//! Invariant: a [`Reply`] is a value until the last moment, so that idempotency can write it down and give it
//! again byte for byte.
//! Not here: refusals (see `problem`).

use super::etag;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Says that an answer was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) location: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) secret: Option<&'static str>,
    pub(crate) is_replayed: bool,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    success: bool,
    data: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Value>,
}

impl Reply {
    /// 200 with data.
    pub fn ok(data: &impl Serialize) -> Self {
        Self::with(StatusCode::OK, data, None)
    }

    /// 200 with data and meta.
    pub fn ok_with_meta(data: &impl Serialize, meta: &Value) -> Self {
        Self::with(StatusCode::OK, data, Some(meta))
    }

    /// 201 with data, and the path where it is from now on, unescaped.
    pub fn created(location: impl AsRef<str>, data: &impl Serialize) -> Self {
        let location = Some(escaped(location.as_ref()));
        Self { location, ..Self::with(StatusCode::CREATED, data, None) }
    }

    /// 202 with data.
    pub fn accepted(data: &impl Serialize) -> Self {
        Self::with(StatusCode::ACCEPTED, data, None)
    }

    /// What every DELETE answers.
    pub fn deleted() -> Self {
        Self::ok(&json!({"deleted": true}))
    }

    /// An answer with members beside `success` and `data`. The body is `whole`, as it is.
    pub fn whole(status: StatusCode, whole: &impl Serialize) -> Self {
        // Serializing fails for maps with keys that are no text and for broken `Serialize`s of ours; an empty
        // body in a debug build is noticed by every test that reads it.
        let body = serde_json::to_vec(whole).unwrap_or_default().into();
        Self { status, body, location: None, etag: None, secret: None, is_replayed: false }
    }

    /// An answer of this status with data and perhaps meta.
    pub fn with(status: StatusCode, data: &impl Serialize, meta: Option<&Value>) -> Self {
        Self::whole(status, &Envelope { success: true, data, meta })
    }

    /// The same with an `ETag` made from the body. For single objects.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.etag = Some(etag::of_bytes(&self.body));
        self
    }

    /// The same with an `ETag` made from something smaller than the body, such as a version number.
    #[must_use]
    pub fn tagged_as(mut self, etag: String) -> Self {
        self.etag = Some(etag);
        self
    }

    /// The same, where `data.<member>` is shown once: idempotency remembers the answer without it.
    #[must_use]
    pub fn with_secret(mut self, member: &'static str) -> Self {
        self.secret = Some(member);
        self
    }

    /// The answer as it may be given again.
    pub(crate) fn without_secret(&self) -> Self {
        let Some(member) = self.secret else { return self.clone() };
        let mut whole: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let data = whole.get_mut("data").and_then(Value::as_object_mut);
        let secret = data.and_then(|data| data.remove(member)).unwrap_or_default();
        if let Some(whole) = whole.as_object_mut() {
            let meta = whole.entry("meta").or_insert_with(|| Value::Object(Map::new()));
            if let Some(meta) = meta.as_object_mut() {
                meta.insert("secretWithheld".into(), true.into());
            }
        }
        let kept = Self::whole(self.status, &whole);
        // A place that is named by the secret would give it away.
        let location = self.location.clone();
        let location = location.filter(|path| secret.as_str().is_none_or(|secret| !path.contains(secret)));
        Self { location, etag: self.etag.clone(), ..kept }
    }
}

/// A path as it may stand in a header: what is not plain ASCII is percent-encoded.
fn escaped(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:?&=".contains(&byte);
    path.bytes().fold(String::with_capacity(path.len()), |mut text, byte| {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut set = |name, text: Option<String>| {
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        };
        set(LOCATION, self.location);
        set(ETAG, self.etag);
        if self.is_replayed {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_once() {
        let first = Reply::created("/x", &json!({"id": "key_1", "key": "oe_live_x"})).with_secret("key");
        let again: Value = serde_json::from_slice(&first.without_secret().body).unwrap();
        assert_eq!(
            again,
            json!({"success": true, "data": {"id": "key_1"}, "meta": {"secretWithheld": true}})
        );
    }

    #[test]
    fn absent_meta_is_left_out() {
        assert_eq!(Reply::ok(&1).body, r#"{"success":true,"data":1}"#);
    }
}
