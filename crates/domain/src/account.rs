//! People's accounts: e-mail addresses, passwords as they are given, and the tokens of sessions and links.
//!
//! Invariant: a token's text leaves this module once, when it is minted; what is stored is its SHA-256. Two
//! addresses that differ in case only are one.
//! Not here: hashing passwords (dear on purpose, so the server decides when).

use crate::ambient::Chance;
use crate::api_key::hex;
use crate::planning::directory;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;

/// The shortest password.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// The longest password.
pub const PASSWORD_CHARS_MAX: usize = 1_000;
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// Characters of a token: two for a byte.
pub const TOKEN_CHARS: usize = 2 * TOKEN_BYTES;

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address, as far as one can tell without writing to it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = directory::email(Value::String(text.to_owned()))?;
        read.map(Self).ok_or_else(|| "must not be blank".to_owned())
    }

    /// Takes an address as the store gave it.
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address in the form in which two are compared.
    pub fn key(&self) -> String {
        key_of(&self.0)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is compared of an address somebody typed, whether it is one or not.
pub fn key_of(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Whether a password may be chosen: long enough, and no other rule.
pub fn check_password(password: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        return Ok(());
    }
    Err(format!("must have {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"))
}

/// The secret of a session or of a link: 256 random bits.
pub fn mint_token(chance: &dyn Chance) -> String {
    let mut bytes = [0; TOKEN_BYTES];
    chance.fill(&mut bytes);
    hex(&bytes)
}

/// What is stored of a token.
pub fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// What a page of a session has to send along with every change, so that no other site can make one. It follows
/// from the session's token, which it does not give away.
pub fn csrf_token(session_token: &str) -> String {
    hex(&Sha256::digest(format!("csrf {session_token}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_differ_in_case_are_one() {
        let email = |text: &str| Email::parse(text).unwrap();
        assert_eq!(email(" Ada@Example.ORG ").as_str(), "Ada@Example.ORG");
        assert_eq!(email("Ada@Example.ORG").key(), email("ada@example.org").key());
        for text in
            ["", " ", "ada", "ada@", "@example.org", "a b@example.org", "a@b@example.org", "a@example"]
        {
            assert!(Email::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_has_a_length_and_no_other_rule() {
        assert!(check_password("aaaaaaaaaa").is_ok() && check_password("          ").is_ok());
        assert!(check_password("\u{1f511}".repeat(10).as_str()).is_ok());
        assert!(check_password("123456789").is_err() && check_password(&"x".repeat(1_001)).is_err());
    }

    #[test]
    fn what_follows_from_a_token_is_neither_the_token_nor_its_hash() {
        let token = "t".repeat(TOKEN_CHARS);
        let all = [token.clone(), token_hash(&token), csrf_token(&token)];
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    }
}
