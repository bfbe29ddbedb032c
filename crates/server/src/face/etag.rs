//! ETags: strong, made of the representation, compared as RFC 9110 says.
//!
//! Invariant: `If-None-Match` is answered by the gate for every GET whose answer carries an `ETag`; a handler
//! only has to ask [`IfMatch::check`] before it changes something.
//! Not here: which objects have one.

use super::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use openevent_domain::api_key::hex;
use sha2::{Digest, Sha256};

/// Characters of the hash that a tag shows.
const SHOWN_BYTES: usize = 12;

/// The tag of a representation.
pub fn of_bytes(bytes: &[u8]) -> String {
    format!("\"{}\"", hex(&Sha256::digest(bytes)[..SHOWN_BYTES]))
}

/// Whether an answer is what the caller has already.
pub(crate) fn is_unchanged(method: &Method, response: &Response, given: &HeaderValue) -> bool {
    let is_read = method == Method::GET || method == Method::HEAD;
    let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    match (tag, given.to_str()) {
        (Some(tag), Ok(given)) if is_read && response.status() == StatusCode::OK => {
            names(given, tag, Weak::Equal)
        }
        _ => false,
    }
}

/// The same answer without its body.
pub(crate) fn not_modified(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    Response::from_parts(parts, axum::body::Body::empty())
}

/// How a weak tag compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weak {
    Equal,
    Different,
}

fn names(list: &str, tag: &str, weak: Weak) -> bool {
    list.split(',').map(str::trim).any(|one| {
        let bare = if weak == Weak::Equal { one.strip_prefix("W/").unwrap_or(one) } else { one };
        one == "*" || bare == tag
    })
}

/// The caller's `If-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// Of a caller who takes any state.
    pub fn any() -> Self {
        Self(None)
    }

    /// Refuses with 412 unless the caller has the state the object is in.
    pub fn check(&self, etag: &str) -> Result<(), Problem> {
        match &self.0 {
            Some(list) if !names(list, etag, Weak::Different) => Err(stale()),
            _ => Ok(()),
        }
    }

    /// Refuses with 412 when the caller expects an object where there is none.
    pub fn check_absent(&self) -> Result<(), Problem> {
        if self.0.is_some() { Err(stale()) } else { Ok(()) }
    }
}

fn stale() -> Problem {
    Problem::new(Code::PreconditionFailed, "It was changed since you read it: If-Match does not hold")
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let given = parts.headers.get(IF_MATCH);
        // What cannot be read matches nothing.
        Ok(Self(given.map(|value| value.to_str().unwrap_or("").to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_lists_and_stars_but_no_weak_tags() {
        let check = |list: &str| IfMatch(Some(list.to_owned())).check("\"a\"").is_ok();
        assert!(check("\"a\"") && check("\"b\", \"a\"") && check("*"));
        assert!(!check("\"b\"") && !check("W/\"a\"") && !check(""));
        assert!(IfMatch(None).check("\"a\"").is_ok());
    }

    #[test]
    fn if_none_match_ignores_weakness() {
        assert!(names("W/\"a\"", "\"a\"", Weak::Equal));
    }
}
