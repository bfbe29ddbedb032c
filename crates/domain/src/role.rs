//! Roles: what a member of a project may do in it.
//!
//! Invariant: a role is a set of scopes, so that a session and a key are judged by the same words.
//! Not here: who has which role; admins of the whole instance, who need none.

use crate::scope::{KNOWN, Scopes};
use serde::{Deserialize, Serialize};

/// What somebody is in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything in the project, its keys and members included.
    Owner,
    /// May read and write everything, but not manage keys and members.
    Manager,
    /// May read.
    Viewer,
}

impl Role {
    /// All of them, the mightiest first.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Manager, Self::Viewer];

    /// The word used in answers and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What the role may do in its project.
    pub fn scopes(self) -> Scopes {
        let words = |wanted: fn(&str) -> bool| {
            Scopes::trusted(KNOWN.into_iter().filter(|word| wanted(word)).map(str::to_owned).collect())
        };
        match self {
            Self::Owner => Scopes::all(),
            Self::Manager => words(|_| true),
            Self::Viewer => words(|word| word.ends_with(":read")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_grants_what_its_name_says() {
        let grants = |role: Role, word| role.scopes().grant(word);
        for word in KNOWN {
            assert!(grants(Role::Owner, word) && grants(Role::Manager, word), "{word}");
            assert_eq!(grants(Role::Viewer, word), word.ends_with(":read"), "{word}");
        }
        assert_eq!(Role::ALL.map(|role| grants(role, "*")), [true, false, false]);
    }

    #[test]
    fn roles_read_back_from_their_words() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("admin"), None);
    }
}
