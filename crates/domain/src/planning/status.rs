//! The life of an event: five statuses, six arrows.
//!
//! Invariant: a [`State`] carries since when it is what it is; [`State::go`] knows exactly the six arrows of the
//! document, and staying is not one of them but allowed.
//! Not here: what a status means for others (who may see, apply, delete).

use crate::ambient::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The word of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An idea.
    Draft,
    /// Being worked on.
    Planning,
    /// It takes place.
    Active,
    /// It took place.
    Completed,
    /// It will not take place.
    Cancelled,
}

impl Status {
    /// All words.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Planning, Self::Active, Self::Completed, Self::Cancelled];
    /// Those a new event may have.
    pub const FIRST: [Self; 3] = [Self::Draft, Self::Planning, Self::Active];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Planning => "planning",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// An idea, since it was made.
    Draft,
    /// Being worked on.
    Planning {
        /// Since when.
        since: Millis,
    },
    /// It takes place.
    Active {
        /// Since when.
        since: Millis,
    },
    /// It took place.
    Completed {
        /// When that was noted.
        at: Millis,
    },
    /// It will not take place.
    Cancelled {
        /// When that was decided.
        at: Millis,
        /// What it was before.
        from: Status,
    },
}

/// A transition that is none of the six.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event cannot go from {from} to {to}")]
pub struct IllegalTransition {
    /// What it is.
    pub from: Status,
    /// What it was to become.
    pub to: Status,
}

impl State {
    /// The state of a new event. An end is no beginning.
    pub fn first(status: Status, now: Millis) -> Option<Self> {
        match status {
            Status::Draft => Some(Self::Draft),
            Status::Planning => Some(Self::Planning { since: now }),
            Status::Active => Some(Self::Active { since: now }),
            Status::Completed | Status::Cancelled => None,
        }
    }

    /// Takes the parts as the store gave them.
    pub fn trusted(status: Status, at: Option<Millis>, from: Option<Status>) -> Self {
        let at = at.unwrap_or_default();
        match status {
            Status::Draft => Self::Draft,
            Status::Planning => Self::Planning { since: at },
            Status::Active => Self::Active { since: at },
            Status::Completed => Self::Completed { at },
            Status::Cancelled => Self::Cancelled { at, from: from.unwrap_or(Status::Draft) },
        }
    }

    /// Its word.
    pub fn status(self) -> Status {
        match self {
            Self::Draft => Status::Draft,
            Self::Planning { .. } => Status::Planning,
            Self::Active { .. } => Status::Active,
            Self::Completed { .. } => Status::Completed,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Since when it is so; a draft is one since it was made.
    pub fn since(self) -> Option<Millis> {
        match self {
            Self::Draft => None,
            Self::Planning { since } | Self::Active { since } => Some(since),
            Self::Completed { at } | Self::Cancelled { at, .. } => Some(at),
        }
    }

    /// What a cancelled event was before.
    pub fn cancelled_from(self) -> Option<Status> {
        match self {
            Self::Cancelled { from, .. } => Some(from),
            _ => None,
        }
    }

    /// Follows an arrow, or stays.
    pub fn go(self, to: Status, now: Millis) -> Result<Self, IllegalTransition> {
        let from = self.status();
        match (from, to) {
            _ if from == to => Ok(self),
            (Status::Draft, Status::Planning) => Ok(Self::Planning { since: now }),
            (Status::Planning, Status::Active) => Ok(Self::Active { since: now }),
            (Status::Active, Status::Completed) => Ok(Self::Completed { at: now }),
            (Status::Draft | Status::Planning | Status::Active, Status::Cancelled) => {
                Ok(Self::Cancelled { at: now, from })
            }
            _ => Err(IllegalTransition { from, to }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Active, Cancelled, Completed, Draft, Planning};
    use proptest::prelude::*;

    const ARROWS: [(Status, Status); 6] = [
        (Draft, Planning),
        (Planning, Active),
        (Active, Completed),
        (Draft, Cancelled),
        (Planning, Cancelled),
        (Active, Cancelled),
    ];

    #[test]
    fn there_are_exactly_six_arrows() {
        for from in Status::ALL {
            for to in Status::ALL {
                let state = State::trusted(from, Some(1), None);
                let gone = state.go(to, 2);
                if from == to {
                    assert_eq!(gone, Ok(state), "staying changes nothing");
                } else if ARROWS.contains(&(from, to)) {
                    assert_eq!(gone.map(State::status), Ok(to));
                } else {
                    assert_eq!(gone, Err(IllegalTransition { from, to }));
                }
            }
        }
    }

    #[test]
    fn words_read_back_and_ends_are_no_beginnings() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(State::first(status, 1).is_some(), Status::FIRST.contains(&status));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_an_end_is_final_and_time_is_kept(
            first in 0..3_usize,
            asked in proptest::collection::vec(0..5_usize, 0..12),
        ) {
            let mut state = State::first(Status::FIRST[first], 0).unwrap();
            for (step, to) in asked.into_iter().enumerate() {
                let (before, to, now) = (state, Status::ALL[to], step as i64 + 1);
                if let Ok(after) = before.go(to, now) {
                    state = after;
                    let changed = after.status() != before.status();
                    prop_assert!(!changed || after.since() == Some(now));
                    let was_over = matches!(before.status(), Completed | Cancelled);
                    prop_assert!(!was_over || !changed);
                    let kept = State::trusted(after.status(), after.since(), after.cancelled_from());
                    prop_assert_eq!(kept, after);
                }
            }
        }
    }
}
