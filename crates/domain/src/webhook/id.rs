//! The id of a delivery, in the documented form `wh_<unix seconds>_<random>`.
//!
//! Invariant: an id sorts by the second it was made, so that old ones are found by range.
//! Not here: the ids of webhooks (see [`crate::id::WebhookId`]).

use crate::ambient::{Chance, Millis};
use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// About 82 bits.
const RANDOM_CHARS: usize = 16;
/// Bytes above it would favour the first letters: 252 = 7 × 36.
const FAIR: u8 = 252;

/// One signal owed to one webhook.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(String);

impl DeliveryId {
    /// A new id that sorts by `now`.
    pub fn mint(now: Millis, chance: &dyn Chance) -> Self {
        let mut id = Self::floor(now).0;
        let wanted = id.len() + RANDOM_CHARS;
        let mut bytes = [0_u8; 20];
        while id.len() < wanted {
            chance.fill(&mut bytes);
            let letters = bytes.iter().filter(|byte| **byte < FAIR);
            let letters = letters.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
            id.extend(letters.take(wanted - id.len()));
        }
        Self(id)
    }

    /// Sorts before every id of this second.
    pub fn floor(at: Millis) -> Self {
        Self(format!("wh_{:010}_", at.max(0) / 1_000))
    }

    /// Reads an id; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, random) = text.strip_prefix("wh_")?.split_once('_')?;
        let is_number =
            (1..=12).contains(&seconds.len()) && seconds.bytes().all(|byte| byte.is_ascii_digit());
        let is_random =
            (1..=64).contains(&random.len()) && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_number && is_random).then(|| Self(text.to_owned()))
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

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[derive(Debug, Default)]
    struct Counting(AtomicU8);
    impl Chance for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(101, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn an_id_has_the_documented_form_and_reads_back() {
        let id = DeliveryId::mint(1_699_900_000_123, &Counting::default());
        assert!(id.as_str().starts_with("wh_1699900000_") && id.as_str().len() == 14 + RANDOM_CHARS, "{id}");
        assert_eq!(DeliveryId::parse(id.as_str()), Some(id));
        for text in ["wh_0193", "wh_x_abc", "wh_1_", "wh_1_a-b", "run_1_a", ""] {
            assert_eq!(DeliveryId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ids_sort_by_their_second() {
        let chance = Counting::default();
        let (early, late) =
            (DeliveryId::mint(999_999_999_999, &chance), DeliveryId::mint(1_000_000_000_000, &chance));
        assert!(early < late);
        assert!(DeliveryId::floor(1_000_000_000_000) < late && DeliveryId::floor(1_000_000_000_000) > early);
    }
}
