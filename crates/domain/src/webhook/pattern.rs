//! What a webhook listens to: a name, `prefix.*`, or everything.
//!
//! Invariant: a pattern that was read matches in one comparison; wildcards stand at the end only.
//! Not here: which names are known.

use crate::signal::{BadName, SignalName};

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Every signal.
    All,
    /// Names that begin with this, the dot included.
    Prefix(String),
    /// One name.
    Exact(SignalName),
}

/// Why a pattern was refused.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum BadPattern {
    /// A star that does not stand alone or after a dot at the end.
    #[error("a star stands alone (`*`) or at the end after a dot (`event.*`)")]
    Star,
    /// Not a name.
    #[error(transparent)]
    Name(#[from] BadName),
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(prefix) = text.strip_suffix('*') {
            let stem = prefix.strip_suffix('.').filter(|stem| !stem.contains('*')).ok_or(BadPattern::Star)?;
            SignalName::parse(stem)?;
            return Ok(Self::Prefix(prefix.to_owned()));
        }
        if text.contains('*') {
            return Err(BadPattern::Star);
        }
        Ok(Self::Exact(SignalName::parse(text)?))
    }

    /// Whether a signal of this name is wanted.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Exact(exact) => exact.as_str() == name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_segments() {
        let matches = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().matches(name);
        assert!(matches("*", "anything") && matches("event.*", "event.created"));
        assert!(matches("event.created", "event.created") && matches("a.b.*", "a.b.c.d"));
        assert!(!matches("event.*", "event") && !matches("event.*", "eventual.thing"));
        assert!(!matches("event.created", "event.created.twice"));
    }

    #[test]
    fn a_star_elsewhere_is_refused() {
        for text in ["**", "event*", "*.created", "event.*.x", "a*.*", ".*"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(Pattern::parse("a b"), Err(BadPattern::Name(BadName::Character)));
    }
}
