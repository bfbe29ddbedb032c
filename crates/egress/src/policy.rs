//! Which addresses may be connected to.
//!
//! Invariant: an address is refused unless it is public, or the operator's list or the development mode
//! admits it. The question is asked per address, at connect time; names are never trusted.
//! Not here: the table of ranges (`ranges.rs`) and the connecting (`connect.rs`).

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;

use crate::ranges::{self, Range};

/// Whether the machine's own loopback addresses may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// Refused like any other special address.
    Refused,
    /// Development: 127.0.0.0/8 and ::1 are admitted, as themselves only, not wrapped in other addresses.
    Allowed,
}

/// The rule for outgoing connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy {
    allow: Arc<[IpNet]>,
    loopback: Loopback,
}

/// An address the policy does not admit. The message names the kind of range, never the address: what a
/// name resolves to on our side of the network is not for the owner of a URL to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The address as resolved, for the log.
    pub address: IpAddr,
    /// Why: the special range it belongs to.
    pub range: Range,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address of the host is not allowed ({})", self.range)
    }
}

impl std::error::Error for Refused {}

impl Policy {
    /// A policy that admits public addresses, the networks in `allow` and, if so told, plain loopback.
    pub fn new(allow: Vec<IpNet>, loopback: Loopback) -> Self {
        Self { allow: allow.into(), loopback }
    }

    /// Admits or refuses one address.
    ///
    /// An IPv4-mapped IPv6 address is judged as the IPv4 address the system would connect to.
    pub fn check(&self, ip: IpAddr) -> Result<(), Refused> {
        let target = ip.to_canonical();
        if self.allows(ip) || self.allows(target) {
            return Ok(());
        }
        if self.loopback == Loopback::Allowed && ip.is_loopback() {
            return Ok(());
        }
        // NAT64 hands the packet to the IPv4 address inside, so that one decides.
        if let Some(inner) = ranges::nat64_target(target)
            && self.allows(inner)
        {
            return Ok(());
        }
        match ranges::special(target) {
            None => Ok(()),
            Some(range) => Err(Refused { address: ip, range }),
        }
    }

    fn allows(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|net| net.contains(&ip))
    }
}

/// An entry of an allow list that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is not an IP address or network")]
pub struct InvalidAllowList {
    /// The entry as written.
    pub entry: String,
}

/// Reads `10.0.0.0/8, fd00::/8, 127.0.0.1`: networks or single addresses, separated by commas or blanks.
pub fn parse_allow_list(text: &str) -> Result<Vec<IpNet>, InvalidAllowList> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let network = entry.parse::<IpNet>().ok();
            let single = || entry.parse::<IpAddr>().ok().map(IpNet::from);
            network.or_else(single).ok_or_else(|| InvalidAllowList { entry: entry.to_owned() })
        })
        .collect()
}
