//! Why a request did not end in a response: one variant per reaction of the caller.
//!
//! Invariant: the messages may be shown to the owner of the URL: they name no address, no path of ours and no
//! library. Causes are in `source()`, for the log.
//! Not here: HTTP status codes; any complete answer is a [`crate::Response`], also a 500.

use std::{fmt, io};

use rustls::CertificateError;

use crate::{Phase, ProxyFault, Refused, connect::Fault};

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
    #[error("the connection could not be opened: {kind}")]
    Connect {
        /// What the system said of the last address tried.
        kind: io::ErrorKind,
        /// The whole story.
        source: Cause,
    },
    /// The operator's proxy opened no connection; nothing was sent.
    #[error("the proxy {fault}")]
    Proxy {
        /// What it did instead.
        fault: ProxyFault,
        /// The whole story.
        source: Cause,
    },
    /// The handshake failed: certificate, protocol version, or no TLS at all.
    #[error("the TLS handshake failed: {fault}")]
    Tls {
        /// What was wrong, as far as it can be told.
        fault: TlsFault,
        /// The whole story.
        source: Cause,
    },
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

/// What is wrong with the other side's TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// Its certificate has expired or is not valid yet.
    Expired,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate does not lead to a trusted root, or is broken.
    Untrusted,
    /// It does not speak TLS, or none that we do.
    NotTls,
    /// Anything else, a closed connection among it.
    Other,
}

impl TlsFault {
    /// Looks for rustls' own error, which arrives wrapped in one or more I/O errors.
    fn of(cause: &Cause) -> Self {
        let mut inner: &(dyn std::error::Error + 'static) = &**cause;
        while let Some(wrapped) = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            inner = wrapped;
        }
        match inner.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(why)) => Self::of_certificate(why),
            Some(
                rustls::Error::InvalidMessage(_)
                | rustls::Error::PeerIncompatible(_)
                | rustls::Error::AlertReceived(_),
            ) => TlsFault::NotTls,
            _ => TlsFault::Other,
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::WrongName
            }
            _ => TlsFault::Untrusted,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsFault::Expired => "the certificate has expired or is not valid yet",
            TlsFault::WrongName => "the certificate is for another name",
            TlsFault::Untrusted => "the certificate is not trusted",
            TlsFault::NotTls => "the other side speaks no TLS that we do",
            TlsFault::Other => "it was cut short",
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
            Some(Fault::Connect(why)) => Error::Connect { kind: why.kind(), source: error.into() },
            Some(Fault::Proxy(why)) => Error::Proxy { fault: why.fault, source: error.into() },
            Some(Fault::Tls(why)) => Error::Tls { fault: TlsFault::of(why), source: error.into() },
            None if error.is_connect() => Error::Connect { kind: io::ErrorKind::Other, source: error.into() },
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
