//! Typed ids: a prefix and a UUIDv7, so that an id tells its kind and sorts by the time it was made.
//!
//! Invariant: a `RunId` does not compile where a `KeyId` is wanted; text that does not parse is no id.
//! Not here: the id of a signal is a bare UUIDv7, as the Events API shows it (see [`SignalId`]).

use crate::ambient::{Chance, Millis, ten};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// A fresh UUIDv7 for the given time.
pub fn uuid_v7(now: Millis, chance: &dyn Chance) -> Uuid {
    Builder::from_unix_timestamp_millis(now.max(0) as u64, &ten(chance)).into_uuid()
}

/// The smallest UUIDv7 of a time: every id made earlier sorts below it.
pub fn uuid_v7_floor(at: Millis) -> Uuid {
    Builder::from_unix_timestamp_millis(at.max(0) as u64, &[0; 10]).into_uuid()
}

/// What all ids have in common, for code that is the same for several kinds.
pub trait Id: Clone + Sized {
    /// A new id that sorts by `now`.
    fn mint(now: Millis, chance: &dyn Chance) -> Self;

    /// Reads an id; `None` when it is none of this kind.
    fn parse(text: &str) -> Option<Self>;

    /// Takes an id as the store gave it.
    fn trusted(text: String) -> Self;

    /// The text form.
    fn as_str(&self) -> &str;
}

/// Declares an id type with its text prefix.
macro_rules! id {
    ($(#[$doc:meta])* pub struct $name:ident($prefix:literal);) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text every id of this kind begins with, without the separator.
            pub const PREFIX: &'static str = $prefix;

            /// A new id that sorts by `now`.
            pub fn mint(now: Millis, chance: &dyn Chance) -> Self {
                Self(format!("{}_{}", $prefix, uuid_v7(now, chance).simple()))
            }

            /// The smallest id of a time, for range scans by age.
            pub fn floor(at: Millis) -> Self {
                Self(format!("{}_{}", $prefix, uuid_v7_floor(at).simple()))
            }

            /// Reads an id; `None` when the prefix or the UUID is wrong.
            pub fn parse(text: &str) -> Option<Self> {
                let hex = text.strip_prefix($prefix)?.strip_prefix('_')?;
                let canonical = hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                canonical.then(|| Self(text.to_owned()))
            }

            /// Takes an id as the store gave it.
            pub fn trusted(text: String) -> Self {
                Self(text)
            }

            /// The text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Id for $name {
            fn mint(now: Millis, chance: &dyn Chance) -> Self {
                Self::mint(now, chance)
            }

            fn parse(text: &str) -> Option<Self> {
                Self::parse(text)
            }

            fn trusted(text: String) -> Self {
                Self::trusted(text)
            }

            fn as_str(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// One execution of a workflow.
    pub struct RunId("run");
}
id! {
    /// An API key's record (not the key itself).
    pub struct KeyId("key");
}
id! {
    /// A planned gathering.
    pub struct EventId("evt");
}
id! {
    /// A vendor's or sponsor's entry in the directory.
    pub struct EntryId("dir");
}
id! {
    /// Somebody who posts webhooks to us.
    pub struct SourceId("src");
}
id! {
    /// A task of an event.
    pub struct TaskId("tsk");
}
id! {
    /// An item of an event's budget.
    pub struct BudgetItemId("bud");
}
id! {
    /// A row of the audit log.
    pub struct AuditId("aud");
}
id! {
    /// What an event has with a vendor or a sponsor.
    pub struct RelationId("rel");
}
id! {
    /// Somebody's application to an event.
    pub struct ApplicationId("app");
}
id! {
    /// A table that was imported.
    pub struct ImportId("imp");
}
id! {
    /// A subscription to signals.
    pub struct WebhookId("wh");
}
id! {
    /// A project: the tenant a person thinks of.
    pub struct ProjectId("prj");
}

id! {
    /// A person who signs in.
    pub struct UserId("usr");
}
id! {
    /// One sign-in of a person, until it ends.
    pub struct SessionId("ses");
}

/// A signal's id: a bare UUIDv7, called `event_id` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalId(String);

impl SignalId {
    /// A new id that sorts by `now`.
    pub fn mint(now: Millis, chance: &dyn Chance) -> Self {
        Self(uuid_v7(now, chance).to_string())
    }

    /// The smallest id of a time.
    pub fn floor(at: Millis) -> Self {
        Self(uuid_v7_floor(at).to_string())
    }

    /// Reads an id in any of UUID's spellings.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(|uuid| Self(uuid.to_string()))
    }

    /// Takes an id as the store gave it.
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SignalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Ones;
    impl Chance for Ones {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(1);
        }
    }

    #[test]
    fn an_id_reads_back_and_another_kind_does_not() {
        let id = RunId::mint(1_700_000_000_000, &Ones);
        assert_eq!(RunId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(KeyId::parse(id.as_str()), None);
        assert_eq!(RunId::parse("run_../../etc"), None);
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = SignalId::mint(1_000, &Ones);
        let late = SignalId::mint(2_000, &Ones);
        assert!(early < late);
        assert!(SignalId::floor(2_000) <= late && SignalId::floor(2_000) > early);
    }
}
