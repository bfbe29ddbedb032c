//! Requests of people who signed in: the cookie, where it may come from, and what has to come along with it.
//!
//! Invariant: a change made with a cookie comes from a page of ours: it carries the session's token against forgery,
//! and the browser says that it comes from here. A cookie alone changes nothing.
//! Not here: whether a session is good (`app::sessions`).

use super::problem::{Code, FieldIssue, Problem};
use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use openevent_domain::account::{TOKEN_CHARS, csrf_token};
use openevent_domain::api_key;
use std::fmt::Write as _;

/// The cookie.
pub const COOKIE_NAME: &str = "openevent_session";
/// The header that carries the token against forgery; forms have a field for it.
pub const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
/// The field of forms that carries it.
pub const CSRF_FIELD: &str = "csrf";
/// Names the project a session acts in.
pub const OPENEVENT_PROJECT: HeaderName = HeaderName::from_static("openevent-project");
/// Names its environment.
pub const OPENEVENT_ENVIRONMENT: HeaderName = HeaderName::from_static("openevent-environment");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where a request comes from, as far as its browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// From a page of ours.
    Ours,
    /// From somebody else's.
    Theirs,
    /// It does not say: no browser of today.
    Unsaid,
}

/// The session's token, if the cookie holds what may be one.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, token) = pairs.find(|(name, _)| *name == COOKIE_NAME)?;
    let is_token = token.len() == TOKEN_CHARS && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_token.then_some(token)
}

/// The cookie that carries a token for so long.
pub fn cookie(token: &str, max_age_s: i64, headers: &HeaderMap, is_development: bool) -> Option<HeaderValue> {
    let mut text = format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}");
    if !is_development || is_forwarded_securely(headers) {
        let _ = write!(text, "; Secure");
    }
    HeaderValue::try_from(text).ok()
}

/// The cookie that takes the token away.
pub fn no_cookie(headers: &HeaderMap, is_development: bool) -> Option<HeaderValue> {
    cookie("", 0, headers, is_development)
}

/// Whether a proxy in front of us says that the browser came by https. Who makes this up only hardens their own cookie.
fn is_forwarded_securely(headers: &HeaderMap) -> bool {
    headers.get(X_FORWARDED_PROTO).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Where a request comes from.
pub fn site(headers: &HeaderMap) -> Site {
    if let Some(said) = headers.get(SEC_FETCH_SITE) {
        // `none` is the person themself, at the address line: no page is behind it.
        return if matches!(said.as_bytes(), b"same-origin" | b"none") { Site::Ours } else { Site::Theirs };
    }
    let Some(origin) = headers.get(ORIGIN) else { return Site::Unsaid };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => Site::Ours,
        _ => Site::Theirs,
    }
}

/// Whether a method only looks.
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses a change that was not made on a page of ours. `given` is the token against forgery, from header or form.
pub fn check_change(headers: &HeaderMap, token: &str, given: Option<&str>) -> Result<(), Problem> {
    if site(headers) != Site::Ours {
        return Err(forged("Origin", "must be this server's own"));
    }
    check_token(token, given)
}

/// The same, without asking where it comes from.
fn check_token(token: &str, given: Option<&str>) -> Result<(), Problem> {
    let is_good = given.is_some_and(|given| api_key::equal(given, &csrf_token(token)));
    if is_good {
        Ok(())
    } else {
        Err(forged("X-CSRF-Token", "must be the session's (`csrfToken` of /api/v1/me)"))
    }
}

fn forged(field: &str, issue: &str) -> Problem {
    let words = "This change does not come from a page of this server";
    Problem::new(Code::Forbidden, words).with_details(vec![FieldIssue::new(field, issue)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    fn a_token() -> String {
        "a1".repeat(TOKEN_CHARS / 2)
    }

    #[test]
    fn the_cookie_is_found_among_others_and_only_when_it_may_be_one() {
        let token_of = |text: &str| token(&headers(&[(COOKIE, text)])).map(str::to_owned);
        let good = a_token();
        assert_eq!(token_of(&format!("a=b; {COOKIE_NAME}={good}; c=d")), Some(good.clone()));
        for text in ["", "a=b", &format!("{COOKIE_NAME}=short"), &format!("{COOKIE_NAME}={}", "x".repeat(64))]
        {
            assert_eq!(token_of(text), None, "{text}");
        }
        let two = headers(&[(COOKIE, "a=b"), (COOKIE, &format!("{COOKIE_NAME}={good}"))]);
        assert_eq!(token(&two), Some(good.as_str()));
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites_and_from_plain_networks() {
        let plain = headers(&[]);
        let text = |headers, is_development| {
            cookie("t", 60, headers, is_development).unwrap().to_str().unwrap().to_owned()
        };
        let local = text(&plain, true);
        assert_eq!(local, "openevent_session=t; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
        assert_eq!(text(&plain, false), format!("{local}; Secure"));
        assert_eq!(text(&headers(&[(X_FORWARDED_PROTO, "https")]), true), format!("{local}; Secure"));
    }

    #[test]
    fn a_request_is_ours_when_its_browser_says_so() {
        let host = (HOST, "example.org:8080");
        for (given, expected) in [
            (vec![host.clone()], Site::Unsaid),
            (vec![host.clone(), (ORIGIN, "http://example.org:8080")], Site::Ours),
            (vec![host.clone(), (ORIGIN, "https://EXAMPLE.org:8080")], Site::Ours),
            (vec![host.clone(), (ORIGIN, "http://example.org")], Site::Theirs),
            (vec![host.clone(), (ORIGIN, "null")], Site::Theirs),
            (vec![host.clone(), (SEC_FETCH_SITE, "same-origin")], Site::Ours),
            (vec![host.clone(), (SEC_FETCH_SITE, "none")], Site::Ours),
            (vec![host.clone(), (SEC_FETCH_SITE, "same-site")], Site::Theirs),
            (vec![host, (SEC_FETCH_SITE, "cross-site"), (ORIGIN, "http://example.org:8080")], Site::Theirs),
        ] {
            assert_eq!(site(&headers(&given)), expected, "{given:?}");
        }
    }

    #[test]
    fn a_change_needs_the_session_s_own_token_and_our_own_page() {
        let (token, ours) = (a_token(), headers(&[(SEC_FETCH_SITE, "same-origin")]));
        let good = csrf_token(&token);
        assert!(check_change(&ours, &token, Some(&good)).is_ok());
        for given in [None, Some(""), Some(token.as_str()), Some(&good[1..])] {
            assert!(check_change(&ours, &token, given).is_err(), "{given:?}");
        }
        assert!(check_change(&headers(&[]), &token, Some(&good)).is_err());
        assert!(check_change(&headers(&[(SEC_FETCH_SITE, "cross-site")]), &token, Some(&good)).is_err());
    }
}
