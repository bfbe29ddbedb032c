//! Who is reached without the proxy.
//!
//! Invariant: a network also exempts the names that lead into it, since a name is looked up before the question is asked.
//! Not here: whether an address may be called at all (`policy.rs`).

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use url::Host;

/// Names and networks that are reached directly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Exempt>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exempt {
    Net(IpNet),
    /// A name and all names below it.
    Name(String),
    /// Names below it only.
    Below(String),
}

/// An entry that is neither a name nor an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is not a name, an IP address or a network")]
pub struct InvalidNoProxy {
    /// The entry as written.
    pub entry: String,
}

impl NoProxy {
    /// Reads `internal.example.org, .corp, 10.0.0.0/8, ::1`, separated by commas or blanks. A name stands for itself and
    /// what is below it; with a dot in front, or `*.`, only for what is below.
    pub fn parse(text: &str) -> Result<Self, InvalidNoProxy> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let read =
            |entry: &str| Exempt::parse(entry).ok_or_else(|| InvalidNoProxy { entry: entry.to_owned() });
        entries.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it names `host` or the address it leads to.
    pub(crate) fn names(&self, host: &str, ip: IpAddr) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.iter().any(|exempt| exempt.covers(host, ip))
    }
}

impl fmt::Display for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&entries.join(","))
    }
}

impl Exempt {
    fn parse(entry: &str) -> Option<Self> {
        let single = || entry.parse::<IpAddr>().ok().map(IpNet::from);
        if let Some(net) = entry.parse().ok().or_else(single) {
            return Some(Self::Net(net));
        }
        let below = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.'));
        match Host::parse(below.unwrap_or(entry)) {
            Ok(Host::Domain(name)) if !name.contains('*') => {
                Some(if below.is_some() { Self::Below(name) } else { Self::Name(name) })
            }
            _ => None,
        }
    }

    fn covers(&self, host: &str, ip: IpAddr) -> bool {
        match self {
            Self::Net(net) => net.contains(&ip) || net.contains(&ip.to_canonical()),
            Self::Name(name) => host == name || is_below(host, name),
            Self::Below(name) => is_below(host, name),
        }
    }
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl fmt::Display for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, ".{name}"),
        }
    }
}
