//! Who is counted, and how the store calls them.
//!
//! Invariant: a subject reads back from its text.
//! Not here: counts.

use openevent_domain::id::{KeyId, UserId};
use std::net::IpAddr;

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An API key.
    Key(KeyId),
    /// A client address.
    Address(IpAddr),
    /// All addresses beyond [`super::ADDRESSES_MAX`].
    Crowd,
    /// What a client address leaves here without a credential.
    Intake(IpAddr),
    /// The same of all addresses beyond [`super::ADDRESSES_MAX`].
    IntakeCrowd,
    /// The static token.
    Operator,
    /// A person, in all their sessions.
    User(UserId),
    /// An address somebody tries to sign in from.
    SignIn(IpAddr),
    /// An account somebody tries to sign in to: the hash of its e-mail address, whether there is one or not.
    Account(String),
    /// All tries beyond [`super::ADDRESSES_MAX`].
    Tries,
}

impl Subject {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Key(id) => id.to_string(),
            Self::Address(address) => format!("ip:{address}"),
            Self::Crowd => "ip:*".to_owned(),
            Self::Intake(address) => format!("intake:{address}"),
            Self::IntakeCrowd => "intake:*".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::User(id) => id.to_string(),
            Self::SignIn(address) => format!("sign-in:{address}"),
            Self::Account(hash) => format!("account:{hash}"),
            Self::Tries => "sign-in:*".to_owned(),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("ip", "*")) => Some(Self::Crowd),
            Some(("ip", address)) => address.parse().ok().map(Self::Address),
            Some(("intake", "*")) => Some(Self::IntakeCrowd),
            Some(("intake", address)) => address.parse().ok().map(Self::Intake),
            Some(("sign-in", "*")) => Some(Self::Tries),
            Some(("sign-in", address)) => address.parse().ok().map(Self::SignIn),
            Some(("account", hash)) => Some(Self::Account(hash.to_owned())),
            _ if text == "operator" => Some(Self::Operator),
            _ => KeyId::parse(text).map(Self::Key).or_else(|| UserId::parse(text).map(Self::User)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_read_back_from_their_text() {
        for subject in [
            Subject::Operator,
            Subject::Crowd,
            Subject::IntakeCrowd,
            Subject::Address(IpAddr::from([192, 0, 2, 1])),
            Subject::Intake(IpAddr::from([192, 0, 2, 1])),
            Subject::Intake("2001:db8::".parse().expect("an address")),
            Subject::Key(KeyId::trusted(format!("key_{}", "0".repeat(32)))),
            Subject::User(UserId::trusted(format!("usr_{}", "0".repeat(32)))),
            Subject::SignIn(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
            Subject::Account("abc".to_owned()),
            Subject::Tries,
        ] {
            assert_eq!(Subject::parse(&subject.text()), Some(subject));
        }
        assert_eq!(Subject::parse("who knows"), None);
    }
}
