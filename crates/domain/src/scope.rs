//! Scopes: what a credential may do, as the words the API documents.
//!
//! Invariant: a scope that is not in the list is refused when a key is made, so a stored one is known.
//! Not here: which route asks for which scope (the server's extractors say that).

use std::fmt;

/// The words a key can carry, without the wildcards.
pub const KNOWN: [&str; 14] = [
    "events:read",
    "events:write",
    "events:delete",
    "vendors:read",
    "sponsors:read",
    "tasks:read",
    "tasks:write",
    "budget:read",
    "budget:write",
    "signals:read",
    "workflows:read",
    "workflows:write",
    "runs:read",
    "runs:write",
];

/// A scope nobody documented.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown scope `{0}`")]
pub struct UnknownScope(pub String);

/// The scopes of one credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Every right, as `*` grants.
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Reads scopes as given when a key is made: known words, `prefix:*` of a known prefix, or `*`.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownScope> {
        let mut scopes = Vec::new();
        for word in words {
            let word = word.trim();
            if !is_known(word) {
                return Err(UnknownScope(word.to_owned()));
            }
            if !scopes.iter().any(|seen| seen == word) {
                scopes.push(word.to_owned());
            }
        }
        Ok(Self(scopes))
    }

    /// Takes scopes as the store gave them.
    pub fn trusted(words: Vec<String>) -> Self {
        Self(words)
    }

    /// Whether these grant `needed` (a word of [`KNOWN`], or `*` for admin duties).
    pub fn grant(&self, needed: &str) -> bool {
        self.0.iter().any(|held| held == "*" || held == needed || covers(held, needed))
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

fn covers(held: &str, needed: &str) -> bool {
    held.strip_suffix('*').is_some_and(|prefix| prefix.ends_with(':') && needed.starts_with(prefix))
}

fn is_known(word: &str) -> bool {
    word == "*"
        || KNOWN.contains(&word)
        || KNOWN.iter().any(|known| word.ends_with(":*") && covers(word, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_their_prefix_only() {
        let scopes = Scopes::parse(["events:*"]).unwrap();
        assert!(scopes.grant("events:write") && scopes.grant("events:delete"));
        assert!(!scopes.grant("vendors:read") && !scopes.grant("*"));
        assert!(Scopes::all().grant("budget:read"));
    }

    #[test]
    fn unknown_words_are_refused() {
        for word in ["", "event:write", "events", "events:", ":*", "nothing:*", "*:*", "events:*:x"] {
            assert!(Scopes::parse([word]).is_err(), "{word}");
        }
    }
}
