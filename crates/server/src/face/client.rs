//! The address an unauthenticated call counts against.
//!
//! Invariant: taken from the connection, unless the operator named the header their proxy writes.
//! Not here: counting.

use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderName, Request};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The client's address, as the audit log shows it. `None`: the request did not come over a socket.
pub fn peer<B>(request: &Request<B>, proxy_header: Option<&HeaderName>) -> Option<IpAddr> {
    let forwarded = proxy_header.and_then(|name| last_address(request.headers(), name));
    let peer = || request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    forwarded.or_else(peer).map(|address| address.to_canonical())
}

/// The address calls are counted by. IPv6 clients are told apart by their /64, as one household has a whole one.
pub fn class(peer: Option<IpAddr>) -> IpAddr {
    match peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The last address of the header: the one our own proxy wrote; what is before it a client can make up.
fn last_address(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_address_counts_only_when_the_operator_says_so() {
        let name = HeaderName::from_static("x-forwarded-for");
        let mut request = Request::new(());
        request.headers_mut().insert(&name, "10.0.0.1, 192.0.2.7".parse().unwrap());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
        assert_eq!(peer(&request, None), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(peer(&request, Some(&name)), Some(IpAddr::from([192, 0, 2, 7])));
    }

    #[test]
    fn neighbours_in_one_ipv6_network_count_together() {
        let class = |text: &str| class(text.parse().ok());
        assert_eq!(class("2001:db8::1"), class("2001:db8::2"));
        assert_ne!(class("2001:db8::1"), class("2001:db8:0:1::1"));
        assert_eq!(class("::ffff:192.0.2.1"), IpAddr::from([192, 0, 2, 1]));
    }
}
