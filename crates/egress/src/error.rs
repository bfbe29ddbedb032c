//! Why a request did not end in a response: one variant per reaction of the caller.
//!
//! Invariant: the messages may be shown to the owner of the URL: they name no address, no path of ours and no
//! library. Causes are in `source()`, for the log.
//! Not here: HTTP status codes; any complete answer is a [`crate::Response`], also a 500.

use std::fmt;

use crate::{Phase, Refused, connect::Fault};

/// A cause kept for the log.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL (or the target of a redirect) cannot be used; asking again is pointless.
    #[error("invalid URL: {0}")]
    InvalidUrl(UrlFault),
    /// A header of the request is malformed or not the caller's to set.
    #[error("header {name:?} cannot be sent")]
    InvalidHeader {
        /// The name as given.
        name: String,
    },
    /// The method cannot be sent (`CONNECT`).
    #[error("method {method} cannot be sent")]
    InvalidMethod {
        /// The method as given.
        method: http::Method,
    },
    /// Every address of the host is one the policy refuses; nothing was sent.
    #[error("{0}")]
    Refused(Refused),
    /// The name does not resolve, or not now.
    #[error("the host name could not be resolved")]
    Dns(#[source] Cause),
    /// No address accepted a connection.
    #[error("the connection could not be opened")]
    Connect(#[source] Cause),
    /// The handshake failed: certificate, protocol version, or no TLS at all.
    #[error("the TLS handshake failed")]
    Tls(#[source] Cause),
    /// The deadline, or the limit on connecting, passed. The other side may have acted on the request.
    #[error("timed out while {phase}")]
    Timeout {
        /// How far the exchange had come.
        phase: Phase,
    },
    /// The answer's body is longer than the cap and the request asked to fail.
    #[error("the answer is longer than {bytes_max} bytes")]
    BodyTooLarge {
        /// The cap that applied.
        bytes_max: usize,
    },
    /// What came back is not HTTP/1.1, or its head is over the limits.
    #[error("the answer is not valid HTTP")]
    Protocol(#[source] Cause),
    /// The connection ended before the answer did. The other side may have acted on the request.
    #[error("the connection was closed before the answer was complete")]
    Closed(#[source] Cause),
    /// More redirects than allowed, circles included.
    #[error("more than {redirects_max} redirects")]
    TooManyRedirects {
        /// The limit that applied.
        redirects_max: usize,
    },
}

/// What is wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlFault {
    /// It does not parse, or has no host.
    Syntax,
    /// Neither `http` nor `https`.
    Scheme,
    /// It carries a user name or password.
    Credentials,
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlFault::Syntax => "it cannot be parsed",
            UrlFault::Scheme => "only http and https can be called",
            UrlFault::Credentials => "a user name or password in the URL is not accepted",
        })
    }
}

impl Error {
    /// Reads what hyper-util's pool says; faults of our connector lie in its cause.
    pub(crate) fn from_pool(error: hyper_util::client::legacy::Error) -> Self {
        let fault = causes(&error).find_map(|cause| cause.downcast_ref::<Fault>());
        match fault {
            Some(Fault::Refused(why)) => Error::Refused(*why),
            Some(Fault::Timeout(phase)) => Error::Timeout { phase: *phase },
            Some(Fault::Dns(_)) => Error::Dns(error.into()),
            Some(Fault::Connect(_)) => Error::Connect(error.into()),
            Some(Fault::Tls(_)) => Error::Tls(error.into()),
            None if error.is_connect() => Error::Connect(error.into()),
            None => Error::broken(error.into()),
        }
    }

    /// An exchange that broke after the connection was there: nonsense, or an early end.
    pub(crate) fn broken(cause: Cause) -> Self {
        let nonsense = |error: &hyper::Error| error.is_parse() || error.is_user();
        let hyper = std::iter::once(&*cause as &(dyn std::error::Error + 'static))
            .chain(causes(&*cause))
            .find_map(|cause| cause.downcast_ref::<hyper::Error>());
        if hyper.is_some_and(nonsense) { Error::Protocol(cause) } else { Error::Closed(cause) }
    }
}

/// The chain of causes below `error`.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| cause.source())
}
