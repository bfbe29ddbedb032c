//! HTTP Digest (RFC 7616): the answer to a challenge.
//!
//! Invariant: MD5 and SHA-256 with and without `-sess`, protection `auth` or none (RFC 2069); any other challenge is
//! no answer at all, never a weaker one.
//! Not here: asking for the challenge.

use md5::Md5;
use openevent_domain::api_key::hex;
use sha2::{Digest as _, Sha256};

/// What a server wants to see.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Option<String>,
    protects: bool,
}

/// Who answers, and what is asked.
pub(super) struct Answering<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    /// Path and query as they are sent.
    pub(super) target: &'a str,
    /// Unguessable text of the client.
    pub(super) cnonce: &'a str,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn of(name: &str) -> Option<(Self, bool)> {
        let name = name.to_ascii_lowercase();
        let (bare, session) = name.strip_suffix("-sess").map_or((name.as_str(), false), |bare| (bare, true));
        match bare {
            "md5" => Some((Self::Md5, session)),
            "sha-256" => Some((Self::Sha256, session)),
            _ => None,
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }
}

impl Challenge {
    /// The best challenge among the values of `WWW-Authenticate`: SHA-256 before MD5.
    pub(super) fn among<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut found: Vec<Self> = values.flat_map(challenges).collect();
        found.sort_by_key(|challenge| !challenge.name().to_ascii_lowercase().starts_with("sha-256"));
        found.into_iter().next()
    }

    fn name(&self) -> &str {
        self.algorithm.as_deref().unwrap_or("MD5")
    }

    /// The value of `Authorization`.
    pub(super) fn answer(&self, who: &Answering<'_>) -> Option<String> {
        let (algorithm, session) = Algorithm::of(self.name())?;
        let Answering { username, password, method, target, cnonce } = who;
        let Self { realm, nonce, .. } = self;
        let mut secret = algorithm.hash(&format!("{username}:{realm}:{password}"));
        if session {
            secret = algorithm.hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let asked = algorithm.hash(&format!("{method}:{target}"));
        let (response, rest) = if self.protects {
            let response = algorithm.hash(&format!("{secret}:{nonce}:00000001:{cnonce}:auth:{asked}"));
            (response, format!(", qop=auth, nc=00000001, cnonce={}", quoted(cnonce)))
        } else {
            (algorithm.hash(&format!("{secret}:{nonce}:{asked}")), String::new())
        };
        let mut answer = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response={}{rest}",
            quoted(username),
            quoted(realm),
            quoted(nonce),
            quoted(target),
            quoted(&response),
        );
        if let Some(named) = &self.algorithm {
            answer.push_str(", algorithm=");
            answer.push_str(named);
        }
        if let Some(opaque) = &self.opaque {
            answer.push_str(", opaque=");
            answer.push_str(&quoted(opaque));
        }
        Some(answer)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The digest challenges of one header value, which may hold challenges of several schemes.
fn challenges(value: &str) -> Vec<Challenge> {
    let mut found: Vec<(bool, Challenge)> = Vec::new();
    let mut qop_given = false;
    for part in parts(value) {
        let (name, text) = part.split_once('=').map_or((part.as_str(), ""), |(name, text)| (name, text));
        // `Digest realm="x"`: a scheme and its first parameter.
        let name = match name.trim().split_once(char::is_whitespace) {
            Some((scheme, name)) => {
                found.push((scheme.eq_ignore_ascii_case("digest"), Challenge::default()));
                qop_given = false;
                name.trim()
            }
            None => name.trim(),
        };
        let Some((true, challenge)) = found.last_mut() else { continue };
        let text = bare(text.trim());
        match name.to_ascii_lowercase().as_str() {
            "realm" => challenge.realm = text,
            "nonce" => challenge.nonce = text,
            "opaque" => challenge.opaque = Some(text),
            "algorithm" => challenge.algorithm = Some(text),
            "qop" => {
                qop_given = true;
                challenge.protects = text.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
                // `auth-int` alone is not offered: without a nonce it is left out below.
                if !challenge.protects {
                    challenge.nonce.clear();
                }
            }
            _ => {}
        }
        if qop_given && !challenge.protects {
            challenge.nonce.clear();
        }
    }
    let usable = |(is_digest, challenge): (bool, Challenge)| {
        (is_digest && !challenge.nonce.is_empty() && Algorithm::of(challenge.name()).is_some())
            .then_some(challenge)
    };
    found.into_iter().filter_map(usable).collect()
}

/// Splits at commas outside quotes.
fn parts(value: &str) -> Vec<String> {
    let (mut parts, mut part, mut inside, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in value.chars() {
        match c {
            ',' if !inside => parts.push(std::mem::take(&mut part)),
            c => {
                if c == '"' && !escaped {
                    inside = !inside;
                }
                part.push(c);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(part);
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// A quoted string's text.
fn bare(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let (mut bare, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            bare.push(c);
            escaped = false;
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7616, section 3.9.1.
    const CHALLENGES: [&str; 2] = [
        r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#,
        r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#,
    ];

    fn mufasa() -> Answering<'static> {
        Answering {
            username: "Mufasa",
            password: "Circle of Life",
            method: "GET",
            target: "/dir/index.html",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        }
    }

    #[test]
    fn the_examples_of_the_standard_are_answered_as_it_says() {
        let both = Challenge::among(CHALLENGES.into_iter()).unwrap().answer(&mufasa()).unwrap();
        let md5 = Challenge::among(std::iter::once(CHALLENGES[1])).unwrap().answer(&mufasa()).unwrap();

        assert!(
            both.contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""),
            "{both}"
        );
        assert!(md5.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{md5}");
        assert!(both.contains("qop=auth, nc=00000001") && both.contains("algorithm=SHA-256"));
    }

    #[test]
    fn several_schemes_in_one_header_are_told_apart() {
        let value = format!("Basic realm=\"a, b\", {}, Bearer", CHALLENGES[1]);
        assert!(Challenge::among(std::iter::once(value.as_str())).is_some());
    }

    #[test]
    fn what_we_do_not_offer_is_no_challenge() {
        for value in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-512-256",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"x\", qop=\"auth-int\", nonce=\"n\"",
            "Digest realm=\"x\"",
            "",
        ] {
            assert_eq!(Challenge::among(std::iter::once(value)), None, "{value}");
        }
    }

    #[test]
    fn an_old_challenge_without_protection_is_answered_the_old_way() {
        let challenge =
            Challenge::among(std::iter::once("Digest realm=\"a \\\"b\\\"\", nonce=\"n\"")).unwrap();
        let answer = challenge.answer(&mufasa()).unwrap();

        assert!(!answer.contains("qop") && !answer.contains("algorithm"), "{answer}");
        assert!(answer.contains("realm=\"a \\\"b\\\"\""));
    }
}
