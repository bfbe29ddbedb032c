//! Headers every answer carries: request id, rate limit, CORS, caching.
//!
//! Invariant: what a handler set itself is not overwritten.
//! Not here: deciding anything.

use super::request_id::X_REQUEST_ID;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use openevent_domain::rate::Verdict;

/// Calls a window admits.
pub const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// Calls left in this window.
pub const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// When the window ends, Unix milliseconds.
pub const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, X-API-Key, X-Request-Id, Idempotency-Key, If-Match, \
                               If-None-Match, Last-Event-ID, Accept, ce-id, ce-source, ce-type, ce-specversion, \
                               ce-time, ce-subject";
const EXPOSED: &str = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, ETag, Location, \
                       Retry-After, Idempotency-Replayed";

/// Headers added to an answer at most, so that the map grows once.
const ADDED_MAX: usize = 8;

/// The request's id. The first to be added.
pub(crate) fn request_id(headers: &mut HeaderMap, id: &HeaderValue) {
    headers.reserve(ADDED_MAX);
    headers.insert(X_REQUEST_ID, id.clone());
}

/// The three rate-limit headers.
pub(crate) fn rate(headers: &mut HeaderMap, verdict: &Verdict) {
    headers.insert(X_RATELIMIT_LIMIT, HeaderValue::from(verdict.limit));
    headers.insert(X_RATELIMIT_REMAINING, HeaderValue::from(verdict.remaining));
    headers.insert(X_RATELIMIT_RESET, HeaderValue::from(verdict.reset));
}

/// Lets scripts of every origin read the answer, and says how it may be kept.
pub(crate) fn cross_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
}

/// The answer to "may I?".
pub(crate) fn preflight(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
}

/// Browsers are not to guess content types.
pub(crate) fn no_guessing(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
