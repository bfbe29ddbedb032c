//! Reading a credential from the headers, before anybody asks whether it is good.
//!
//! Invariant: the text of a credential borrows from the request; it is never stored or logged.
//! Not here: looking keys up (see `keyring`).

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use openevent_domain::api_key::{CHARS_MAX, PREFIX};

/// The header for API keys.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What the headers offer, in the order in which it is tried.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offered<'a> {
    /// An API key in `X-API-Key`.
    pub key: Option<&'a str>,
    /// What stands in `Authorization: Bearer`.
    pub bearer: Option<Bearer<'a>>,
}

/// A bearer token.
#[derive(Debug, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// An API key: it begins with `oe_`.
    Key(&'a str),
    /// Anything else: the operator's static token, perhaps.
    Token(&'a str),
}

/// What the headers offer.
pub fn offered(headers: &HeaderMap) -> Offered<'_> {
    Offered {
        key: headers.get(X_API_KEY).and_then(text).filter(|key| key.starts_with(PREFIX)),
        bearer: headers.get(AUTHORIZATION).and_then(text).and_then(bearer),
    }
}

/// Whether neither header offers anything: then a session's cookie may speak.
pub fn is_without_credential(headers: &HeaderMap) -> bool {
    !headers.contains_key(AUTHORIZATION) && offered(headers).key.is_none()
}

fn text(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?.trim();
    (!text.is_empty()).then_some(text)
}

fn bearer(value: &str) -> Option<Bearer<'_>> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
        return None;
    }
    Some(if token.starts_with(PREFIX) { Bearer::Key(token) } else { Bearer::Token(token) })
}

/// Whether a key is short enough to be looked at.
pub fn is_readable(key: &str) -> bool {
    key.len() <= CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in ["Bearer t", "bearer t", "BEARER  t "] {
            let headers = headers(&[(AUTHORIZATION, value)]);
            assert_eq!(offered(&headers).bearer, Some(Bearer::Token("t")), "{value}");
        }
    }

    #[test]
    fn what_is_not_a_bearer_token_is_nothing() {
        for value in ["", "Bearer", "Bearer ", "Basic dDp0", "Bearer a b", "t"] {
            assert_eq!(offered(&headers(&[(AUTHORIZATION, value)])).bearer, None, "{value}");
        }
    }

    #[test]
    fn a_foreign_x_api_key_is_ignored() {
        let both = headers(&[(X_API_KEY, "sk_other"), (AUTHORIZATION, "Bearer oe_live_x")]);
        assert_eq!(offered(&both), Offered { key: None, bearer: Some(Bearer::Key("oe_live_x")) });
    }
}
