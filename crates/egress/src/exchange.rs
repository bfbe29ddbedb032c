//! One request from the first byte to the last, redirects included.
//!
//! Invariant: every await stands under the one deadline taken at the start.
//! Not here: opening connections (`connect.rs`), reading bodies (`body.rs`), the rules of redirects.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{
        ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE, USER_AGENT,
    },
};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client as Pool, connect::capture_connection};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::{
    body::{self, Cap},
    connect::Connector,
    error::{Error, UrlFault},
    limits::Limits,
    message::{Redirects, Request, Response},
    phase::{self, Phase},
    redirect,
    stream::Stream,
};

/// Headers that frame the message or speak to the next machine only: the client writes them itself.
const OURS: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

const WHO: HeaderValue = HeaderValue::from_static(concat!("openevent/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");

/// One request on the wire; a redirect makes the next.
#[derive(Clone)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Sends `request`, follows what it wants followed, reads the answer.
pub(crate) async fn run(
    pool: &Pool<Connector, Full<Bytes>>,
    limits: &Limits,
    request: Request,
) -> Result<Response, Error> {
    let deadline = far(request.deadline);
    let cap = Cap {
        bytes_max: request
            .response_bytes_max
            .map_or(limits.response_bytes_max, |wanted| wanted.min(limits.response_bytes_max)),
        over_limit: request.body_over_limit,
    };
    let redirects = request.redirects;
    let mut hop = first(request)?;
    let mut followed = 0;
    loop {
        // The copy is what a 307 sends again; bodies are shared, not copied.
        let again = (redirects == Redirects::Follow).then(|| hop.clone());
        let url = hop.url.clone();
        let answer = answer(pool, hop, deadline).await?;
        let next =
            again.map(|hop| redirect::next(hop, answer.status(), answer.headers())).transpose()?.flatten();
        match next {
            None => return finish(answer, url, cap, deadline).await,
            Some(_) if followed == limits.redirects_max => {
                return Err(Error::TooManyRedirects { redirects_max: limits.redirects_max });
            }
            Some(next) => hop = next,
        }
        followed += 1;
    }
}

/// Sends `request`, and leaves the body to the caller.
pub(crate) async fn open(pool: &Pool<Connector, Full<Bytes>>, request: Request) -> Result<Stream, Error> {
    let patience = request.deadline;
    let hop = first(request)?;
    Ok(Stream::new(answer(pool, hop, far(patience)).await?, patience))
}

/// The moment `wait` from now; one too far off for the clock counts as a day.
fn far(wait: Duration) -> Instant {
    let day = Duration::from_hours(24);
    Instant::now() + wait.min(day)
}

fn first(request: Request) -> Result<Hop, Error> {
    if request.method == Method::CONNECT {
        return Err(Error::InvalidMethod { method: request.method });
    }
    let url = parse_url(Url::parse(&request.url))?;
    let headers = headers(request.headers)?;
    Ok(Hop { method: request.method, url, headers, body: request.body })
}

/// A URL that can be called: http or https, a host, no credentials; the fragment is dropped.
pub(crate) fn parse_url(parsed: Result<Url, url::ParseError>) -> Result<Url, Error> {
    let mut url = parsed.map_err(|_| Error::InvalidUrl(UrlFault::Syntax))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::InvalidUrl(UrlFault::Scheme));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::InvalidUrl(UrlFault::Credentials));
    }
    url.set_fragment(None);
    Ok(url)
}

fn headers(given: Vec<(String, String)>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(given.len() + 3);
    for (name, value) in given {
        let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Error::InvalidHeader { name });
        };
        let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) else {
            return Err(Error::InvalidHeader { name });
        };
        if OURS.contains(&key) {
            return Err(Error::InvalidHeader { name });
        }
        headers.append(key, value);
    }
    headers.entry(USER_AGENT).or_insert(WHO);
    headers.entry(ACCEPT).or_insert(ANYTHING);
    Ok(headers)
}

/// Sends one hop and waits for the head of its answer; informational answers are hyper's to skip.
async fn answer(
    pool: &Pool<Connector, Full<Bytes>>,
    hop: Hop,
    deadline: Instant,
) -> Result<http::Response<Incoming>, Error> {
    let uri = Uri::try_from(hop.url.as_str()).map_err(|_| Error::InvalidUrl(UrlFault::Syntax))?;
    let mut request = http::Request::new(Full::new(hop.body));
    *request.method_mut() = hop.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = hop.headers;
    let connection = capture_connection(&mut request);
    phase::marked(async {
        if let Ok(answered) = timeout_at(deadline, pool.request(request)).await {
            return answered.map_err(Error::from_pool);
        }
        let connected = connection.connection_metadata().is_some();
        Err(Error::Timeout { phase: if connected { Phase::Response } else { phase::connecting() } })
    })
    .await
}

async fn finish(
    answer: http::Response<Incoming>,
    url: Url,
    cap: Cap,
    deadline: Instant,
) -> Result<Response, Error> {
    let (head, body) = answer.into_parts();
    let read = timeout_at(deadline, body::read(body, cap)).await;
    let (body, truncated) = read.unwrap_or(Err(Error::Timeout { phase: Phase::Body }))?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Response {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body,
        truncated,
        url: url.into(),
    })
}
