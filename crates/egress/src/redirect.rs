//! What a redirect asks for next, by the fetch standard ("HTTP-redirect fetch").
//!
//! Invariant: credentials never leave the origin they were given for.
//! Not here: counting hops and sending them (`exchange.rs`); addresses are checked when connecting.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, LOCATION,
        PROXY_AUTHORIZATION,
    },
};
use url::Url;

use crate::{
    error::{Error, UrlFault},
    exchange::{Hop, parse_url},
};

const CREDENTIALS: [HeaderName; 5] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
];

const ABOUT_THE_BODY: [HeaderName; 4] = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE];

/// The next hop, or `None` if the answer is not a redirect.
pub(crate) fn next(hop: Hop, status: StatusCode, headers: &HeaderMap) -> Result<Option<Hop>, Error> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let url = target(&hop.url, location.as_bytes())?;
    let mut hop = if becomes_get(status, &hop.method) { without_body(hop) } else { hop };
    if url.origin() != hop.url.origin() {
        remove(&mut hop.headers, &CREDENTIALS);
    }
    Ok(Some(Hop { url, ..hop }))
}

fn target(base: &Url, location: &[u8]) -> Result<Url, Error> {
    let text = std::str::from_utf8(location).map_err(|_| Error::InvalidUrl(UrlFault::Syntax))?;
    parse_url(base.join(text))
}

fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET && method != Method::HEAD,
        _ => false,
    }
}

fn without_body(mut hop: Hop) -> Hop {
    remove(&mut hop.headers, &ABOUT_THE_BODY);
    Hop { method: Method::GET, body: Bytes::new(), ..hop }
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}
