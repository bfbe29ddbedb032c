//! API keys: their text form, and the hash that is all we keep of them.
//!
//! Invariant: the key's text leaves this module once, when it is minted; the store sees only SHA-256.
//! Not here: looking keys up, scopes.

use crate::ambient::Chance;
use crate::tenant::Environment;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq;

/// What every API key begins with.
pub const PREFIX: &str = "oe_";
/// Characters after the environment prefix in a minted key.
pub const SECRET_CHARS: usize = 32;
/// A longer credential is refused unread.
pub const CHARS_MAX: usize = 512;
/// How much of a key its record shows, so that people can tell keys apart.
const SHOWN_CHARS: usize = 12;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Makes a key: `oe_live_` or `oe_test_` and 32 characters of letters and digits.
pub fn mint(environment: Environment, chance: &dyn Chance) -> String {
    let mut key = format!("{PREFIX}{}_", environment.as_str());
    let wanted = key.len() + SECRET_CHARS;
    let mut bytes = [0_u8; 64];
    while key.len() < wanted {
        chance.fill(&mut bytes);
        // 248 = 4 × 62: bytes above it would favour the first letters.
        let letters = bytes.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(*byte) % 62]);
        key.extend(letters.take(wanted - key.len()).map(char::from));
    }
    key
}

/// The environment a literal key's prefix names.
pub fn environment_of(key: &str) -> Option<Environment> {
    let rest = key.strip_prefix(PREFIX)?;
    Environment::ALL.into_iter().find(|environment| {
        rest.strip_prefix(environment.as_str())
            .and_then(|rest| rest.strip_prefix('_'))
            .is_some_and(|secret| !secret.is_empty())
    })
}

/// The lower-case hex SHA-256 under which a key is stored and found.
pub fn hash(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

/// The beginning of a key that lists may show.
pub fn shown_prefix(key: &str) -> String {
    key.chars().take(SHOWN_CHARS).collect()
}

/// Compares two secrets in time that does not depend on where they differ.
pub fn equal(given: &str, expected: &str) -> bool {
    Sha256::digest(given.as_bytes()).ct_eq(&Sha256::digest(expected.as_bytes())).into()
}

/// Lower-case hex of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting(std::sync::atomic::AtomicU8);
    impl Chance for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(7, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_minted_key_has_the_documented_form() {
        let key = mint(Environment::Test, &Counting(3.into()));
        assert_eq!(key.len(), "oe_test_".len() + 32);
        assert!(key.starts_with("oe_test_") && key[8..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(environment_of(&key), Some(Environment::Test));
    }

    #[test]
    fn a_literal_key_needs_an_environment_and_a_secret() {
        assert_eq!(environment_of("oe_live_x"), Some(Environment::Live));
        for key in ["oe_live_", "oe_prod_x", "live_x", "oe_livex"] {
            assert_eq!(environment_of(key), None, "{key}");
        }
    }
}
