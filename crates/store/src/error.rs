//! What can go wrong with a store call, one variant per reaction of the caller.
//!
//! Invariant: `Unavailable` means "nothing was acknowledged, try again"; it never hides a bug.
//! Not here: HTTP codes.

use std::error::Error as StdError;

/// A failed store call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot take the call now: disk full, file read-only, server away. Answer 503.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// A row with this key is already there.
    #[error("a row of `{table}` with this key exists already")]
    Exists {
        /// The table whose key was taken.
        table: String,
    },
    /// A guarded statement hit another number of rows than it had to: somebody else was first.
    #[error("the write no longer applies: {0}")]
    Missed(&'static str),
    /// Stored data does not read as what we wrote. A bug or a damaged file.
    #[error("stored data is not as written: {0}")]
    Corrupt(String),
    /// A later version changed the database so that this one cannot work on it. Only opening it says so.
    #[error("a later version has changed the database; this one does not know `{migration}`")]
    Newer {
        /// The migration that has to be known.
        migration: String,
    },
    /// The statement itself was refused. A bug.
    #[error("the database refused a statement")]
    Refused(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    pub(crate) fn corrupt(what: &str) -> Self {
        Self::Corrupt(what.to_owned())
    }

    /// An `Unavailable` in our own words.
    pub(crate) fn away(why: &str) -> Self {
        Self::Unavailable(why.to_owned().into())
    }

    /// Whether trying again later can help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
