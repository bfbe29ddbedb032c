//! The only outbound HTTP of the project: webhooks and the calls of workflows go through [`Client`].
//!
//! Invariant: no connection is opened to an address that [`Policy`] has not admitted, whatever a URL, a name
//! server or a redirect says; and no exchange outlives its deadline or holds more bytes than its cap.
//!
//! Deliberately not here: retries, signatures, schedules, decompression, cookies and HTTP/2. Who may
//! call what over plain `http` is decided by the callers, when a URL is registered.

mod body;
mod client;
mod connect;
mod error;
mod exchange;
mod limits;
mod message;
mod no_proxy;
mod phase;
mod policy;
mod proxy;
mod ranges;
mod redirect;
mod resolve;
mod stream;
mod tls;

pub use bytes::Bytes;
pub use client::{Client, Setup};
pub use error::{Error, TlsFault, UrlFault};
pub use ipnet::IpNet;
pub use limits::Limits;
pub use message::{OverLimit, Redirects, Request, Response};
pub use no_proxy::{InvalidNoProxy, NoProxy};
pub use phase::Phase;
pub use policy::{InvalidAllowList, Loopback, Policy, Refused, parse_allow_list};
pub use proxy::{InvalidProxy, Proxy, ProxyFault};
pub use ranges::Range;
pub use resolve::{Addresses, Resolve, SystemResolver};
pub use rustls::pki_types::CertificateDer;
pub use stream::Stream;
pub use tls::{InvalidRoots, parse_roots};
