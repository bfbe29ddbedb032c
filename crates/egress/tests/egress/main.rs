//! The egress client from the outside, against receivers on loopback.
//!
//! Invariant: nothing here connects to anything but loopback; what must not be contacted is refused before.
//! Not here: unit tests of private functions; there are none worth having.

mod addresses;
mod bad_receivers;
mod exchanges;
mod proxies;
mod redirects;
mod ssrf;
mod support;
mod tls;
