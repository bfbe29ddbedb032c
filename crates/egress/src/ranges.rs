//! The special ranges of the IANA registries (RFC 6890 and its successors), and what hides inside them.
//!
//! Invariant: for IPv6 only global unicast (2000::/3) and well-known NAT64 can come out as public; a range
//! nobody thought of is refused.
//! Not here: exceptions to the table, which are the policy's (`policy.rs`).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{Ipv4Net, Ipv6Net};

/// The kind of special range an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 0.0.0.0/8 and `::`.
    Unspecified,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// RFC 1918, unique-local and site-local networks.
    Private,
    /// 100.64.0.0/10, addresses shared behind a carrier's NAT.
    CarrierNat,
    /// 169.254.0.0/16 and fe80::/10, but for the metadata services.
    LinkLocal,
    /// Where clouds hand instances their credentials.
    Metadata,
    /// Multicast and broadcast.
    Multicast,
    /// Documentation and benchmarking.
    Documentation,
    /// Set aside by IANA for something that is not a web server.
    Reserved,
    /// An IPv6 form that carries an IPv4 address or a tunnel (compatible, 6to4, Teredo, local NAT64).
    Tunnel,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Range::Unspecified => "unspecified",
            Range::Loopback => "loopback",
            Range::Private => "private network",
            Range::CarrierNat => "carrier-grade NAT",
            Range::LinkLocal => "link-local",
            Range::Metadata => "cloud metadata",
            Range::Multicast => "multicast or broadcast",
            Range::Documentation => "documentation or benchmarking",
            Range::Reserved => "reserved",
            Range::Tunnel => "tunnel or embedded address",
        })
    }
}

/// The special range of `ip`, or `None` if it is public. `ip` must not be IPv4-mapped: see
/// [`IpAddr::to_canonical`].
pub(crate) fn special(ip: IpAddr) -> Option<Range> {
    match ip {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

/// The IPv4 address that a translator would connect to for an address in 64:ff9b::/96 (RFC 6052).
pub(crate) fn nat64_target(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = ip else { return None };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(IpAddr::V4(embedded(high, low))),
        _ => None,
    }
}

/// The first row that holds the address counts: exceptions stand before what they are cut from.
const V4: &[(Ipv4Net, Range)] = &[
    (v4([169, 254, 169, 254], 32), Range::Metadata),
    (v4([169, 254, 170, 2], 32), Range::Metadata),
    (v4([169, 254, 170, 23], 32), Range::Metadata),
    (v4([168, 63, 129, 16], 32), Range::Metadata),
    (v4([100, 100, 100, 200], 32), Range::Metadata),
    (v4([192, 0, 0, 192], 32), Range::Metadata),
    (v4([0, 0, 0, 0], 8), Range::Unspecified),
    (v4([127, 0, 0, 0], 8), Range::Loopback),
    (v4([10, 0, 0, 0], 8), Range::Private),
    (v4([172, 16, 0, 0], 12), Range::Private),
    (v4([192, 168, 0, 0], 16), Range::Private),
    (v4([100, 64, 0, 0], 10), Range::CarrierNat),
    (v4([169, 254, 0, 0], 16), Range::LinkLocal),
    (v4([192, 0, 0, 0], 24), Range::Reserved),
    (v4([192, 0, 2, 0], 24), Range::Documentation),
    (v4([198, 18, 0, 0], 15), Range::Documentation),
    (v4([198, 51, 100, 0], 24), Range::Documentation),
    (v4([203, 0, 113, 0], 24), Range::Documentation),
    (v4([192, 88, 99, 0], 24), Range::Tunnel),
    (v4([255, 255, 255, 255], 32), Range::Multicast),
    (v4([224, 0, 0, 0], 4), Range::Multicast),
    (v4([240, 0, 0, 0], 4), Range::Reserved),
];

/// As [`V4`]; NAT64, 6to4 and ISATAP are looked into before.
const V6: &[(Ipv6Net, Range)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Range::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Range::Loopback),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Range::Tunnel),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), Range::Tunnel),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Range::Tunnel),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Range::Tunnel),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), Range::Metadata),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), Range::Metadata),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Range::Private),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Range::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Range::LinkLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Range::Multicast),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Range::Documentation),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Range::Documentation),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), Range::Documentation),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Range::Tunnel),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Range::Reserved),
];

/// What IANA has given out for unicast on the Internet; outside of it nothing is public.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

fn special_v4(ip: Ipv4Addr) -> Option<Range> {
    V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, range)| *range)
}

fn special_v6(ip: Ipv6Addr) -> Option<Range> {
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return special_v4(embedded(high, low)),
        // 6to4: routed to the IPv4 address inside, if it is routed at all.
        [0x2002, high, low, ..] => return special_v4(embedded(high, low)).map(|_| Range::Tunnel),
        // ISATAP: any prefix, the IPv4 address in the lower half.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => return Some(Range::Tunnel),
        _ => {}
    }
    let known = V6.iter().find(|(net, _)| net.contains(&ip)).map(|(_, range)| *range);
    known.or_else(|| (!GLOBAL_UNICAST.contains(&ip)).then_some(Range::Reserved))
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

const fn v4(octets: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), bits)
}

const fn v6(segments: [u16; 8], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), bits)
}
