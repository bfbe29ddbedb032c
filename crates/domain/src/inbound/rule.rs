//! How a sender's signature is checked.
//!
//! Invariant: signatures are compared in constant time, over the very bytes that came; where a time is signed, what is
//! too old or too far ahead is refused.
//! Not here: which sender signs how (`preset`).

use crate::ambient::Millis;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use std::borrow::Cow;

/// How far the sender's clock and ours may be apart.
pub const TOLERANCE_MS: i64 = 5 * 60 * 1_000;

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How the signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal, of either case.
    Hex,
    /// Base64.
    Base64,
}

/// What of the secret is the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// All of it, as text.
    Whole,
    /// The bytes that the base64 behind `whsec_` stands for.
    Decoded,
}

/// What the header looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One signature behind a prefix.
    Whole {
        /// Such as `sha256=`; may be empty.
        prefix: Cow<'static, str>,
    },
    /// `t=TIME,v1=SIGNATURE`, perhaps several of `v1`; the time is that of the signature.
    Pairs,
    /// `v1,SIGNATURE`, perhaps several between blanks.
    List,
}

/// How a sender signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The header with the signature, in lower case.
    pub header: Cow<'static, str>,
    /// What that looks like.
    pub shape: Shape,
    /// The header with the time in Unix seconds, if there is one of its own.
    pub time: Option<Cow<'static, str>>,
    /// The header with the message's id, if that is signed.
    pub id: Option<Cow<'static, str>>,
    /// What is signed: text with `{body}`, `{timestamp}` and `{id}`.
    pub signed: Cow<'static, str>,
    /// Which hash.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// What of the secret is the key.
    pub key: Key,
}

/// Why a message is not its sender's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header is not there.
    #[error("the header {0} is missing")]
    Missing(String),
    /// A header does not read as it should.
    #[error("the header {0} does not read as this sender writes it")]
    Malformed(String),
    /// It was signed too long ago, or its clock is ahead.
    #[error("it was signed more than five minutes ago, or ahead of now")]
    Stale,
    /// No secret of the source makes such a signature.
    #[error("the signature does not fit the body and the secret")]
    Unsigned,
}

impl Rule {
    /// Whether one of the secrets signed these bytes, lately.
    pub fn check<'a>(
        &self,
        secrets: &[String],
        header: &dyn Fn(&str) -> Option<&'a str>,
        body: &[u8],
        now: Millis,
    ) -> Result<(), Refusal> {
        let need = |name: &str| header(name).ok_or_else(|| Refusal::Missing(name.to_owned()));
        let written = need(&self.header)?;
        let (signatures, time) = self.signatures(written);
        if signatures.is_empty() {
            return Err(Refusal::Malformed(self.header.to_string()));
        }
        let time = match (&self.time, &self.shape) {
            (Some(name), _) => Some((need(name)?, name)),
            (None, Shape::Pairs) => {
                Some((time.ok_or_else(|| Refusal::Malformed(self.header.to_string()))?, &self.header))
            }
            (None, _) => None,
        };
        if let Some((time, name)) = time {
            let seconds: i64 = time.parse().map_err(|_| Refusal::Malformed(name.to_string()))?;
            if (now / 1_000).abs_diff(seconds) > (TOLERANCE_MS / 1_000) as u64 {
                return Err(Refusal::Stale);
            }
        }
        let id = self.id.as_deref().map(need).transpose()?;
        let parts = self.parts(body, time.map_or("", |(time, _)| time), id.unwrap_or_default());
        let fits = |secret: &String| {
            let key = self.key(secret);
            signatures.iter().any(|signature| self.fits(&key, &parts, signature))
        };
        if secrets.iter().any(fits) { Ok(()) } else { Err(Refusal::Unsigned) }
    }

    /// The signatures in the header, and the time if that is there too.
    fn signatures<'a>(&self, written: &'a str) -> (Vec<&'a str>, Option<&'a str>) {
        match &self.shape {
            Shape::Whole { prefix } => (written.trim().strip_prefix(&**prefix).into_iter().collect(), None),
            Shape::Pairs => {
                let pairs = || written.split(',').filter_map(|pair| pair.trim().split_once('='));
                let all = |wanted: &'static str| {
                    pairs().filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
                };
                (all("v1").collect(), all("t").next())
            }
            Shape::List => {
                (written.split_whitespace().filter_map(|one| one.strip_prefix("v1,")).collect(), None)
            }
        }
    }

    /// What is signed, piece by piece.
    fn parts<'a>(&'a self, body: &'a [u8], time: &'a str, id: &'a str) -> Vec<&'a [u8]> {
        let (mut parts, mut rest): (Vec<&[u8]>, &str) = (Vec::new(), &self.signed);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').unwrap_or((after, ""));
            parts.push(before.as_bytes());
            parts.push(match name {
                "body" => body,
                "timestamp" => time.as_bytes(),
                _ => id.as_bytes(),
            });
            rest = behind;
        }
        parts.push(rest.as_bytes());
        parts
    }

    fn key(&self, secret: &str) -> Vec<u8> {
        match self.key {
            Key::Whole => secret.as_bytes().to_vec(),
            Key::Decoded => {
                let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
                STANDARD.decode(encoded).unwrap_or_else(|_| encoded.as_bytes().to_vec())
            }
        }
    }

    fn fits(&self, key: &[u8], parts: &[&[u8]], signature: &str) -> bool {
        let given = match self.encoding {
            Encoding::Hex => from_hex(signature),
            Encoding::Base64 => STANDARD.decode(signature).ok(),
        };
        let Some(given) = given else { return false };
        match self.algorithm {
            Algorithm::Sha256 => signed_by::<Hmac<Sha256>>(key, parts, &given),
            Algorithm::Sha512 => signed_by::<Hmac<Sha512>>(key, parts, &given),
        }
    }
}

/// Whether this is the whole signature; compared in constant time.
fn signed_by<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], given: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(given).is_ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Preset;
    use super::*;

    const NOW: Millis = 1_614_265_330_000;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn check(
        rule: &Rule,
        secret: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        now: Millis,
    ) -> Result<(), Refusal> {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        rule.check(&["an older one".to_owned(), secret.to_owned()], &header, body, now)
    }

    fn rule(preset: Preset) -> Rule {
        preset.rule().expect("it signs")
    }

    /// `printf '%s' "$SIGNED" | openssl dgst -sha256 -hmac "$SECRET"`, and the same in base64.
    fn hex(secret: &str, signed: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(signed.as_bytes());
        crate::api_key::hex(&mac.finalize().into_bytes())
    }

    #[test]
    fn the_published_vectors_hold() {
        // From GitHub's documentation of its signatures.
        let github = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let headers = [("x-hub-signature-256", github)];
        let secret = "It's a Secret to Everybody";
        assert_eq!(check(&rule(Preset::Github), secret, &headers, b"Hello, World!", NOW), Ok(()));
        // From the specification of Standard Webhooks.
        let headers = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,bm9uZXN1Y2g= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(check(&rule(Preset::StandardWebhooks), secret, &headers, BODY, NOW), Ok(()));
        // From Slack's documentation of request signing.
        let slack = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
                     &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
                     &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
                     &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let headers = [
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ];
        let secret = "8f742231b10e8888abcd99yyyzzz85a5";
        let at = 1_531_420_618_000;
        assert_eq!(check(&rule(Preset::Slack), secret, &headers, slack.as_bytes(), at), Ok(()));
    }

    #[test]
    fn a_header_with_pairs_may_hold_several_signatures() {
        let signed = format!("1614265330.{}", std::str::from_utf8(BODY).unwrap());
        let written = format!("t=1614265330,v1={},v1={},v0=00", "00".repeat(32), hex("whsec_x", &signed));
        let headers = [("stripe-signature", written.as_str())];
        assert_eq!(check(&rule(Preset::Stripe), "whsec_x", &headers, BODY, NOW), Ok(()));
    }

    #[test]
    fn another_body_secret_or_time_is_refused() {
        let rule = rule(Preset::Stripe);
        let signed = format!("1614265330.{}", std::str::from_utf8(BODY).unwrap());
        let written = format!("t=1614265330,v1={}", hex("s", &signed));
        let headers = [("stripe-signature", written.as_str())];
        assert_eq!(check(&rule, "s", &headers, BODY, NOW + TOLERANCE_MS), Ok(()));
        assert_eq!(check(&rule, "s", &headers, BODY, NOW + TOLERANCE_MS + 1_000), Err(Refusal::Stale));
        assert_eq!(check(&rule, "s", &headers, BODY, NOW - TOLERANCE_MS - 1_000), Err(Refusal::Stale));
        assert_eq!(check(&rule, "s", &headers, b"{}", NOW), Err(Refusal::Unsigned));
        assert_eq!(check(&rule, "t", &headers, BODY, NOW), Err(Refusal::Unsigned));
        assert_eq!(check(&rule, "s", &[], BODY, NOW), Err(Refusal::Missing("stripe-signature".to_owned())));
    }

    #[test]
    fn what_is_no_signature_is_refused_whatever_it_is() {
        for preset in Preset::ALL {
            let Some(rule) = preset.rule() else { continue };
            let time = rule.time.as_deref().unwrap_or("none");
            for text in
                ["", "x", "v1,", "sha256=", "sha256=zz", "v0=ü", "t=,v1=", "t=x,v1=00", "t=1,v1", "v1,AA=="]
            {
                let headers = [(rule.header.as_ref(), text), (time, "1614265330"), ("webhook-id", "m")];
                assert!(check(&rule, "s", &headers, BODY, NOW).is_err(), "{preset:?}: {text}");
            }
        }
    }

    #[test]
    fn an_owners_rule_may_use_another_hash_and_form() {
        let rule = Rule {
            header: "x-sign".into(),
            shape: Shape::Whole { prefix: "".into() },
            time: None,
            id: None,
            signed: "{body}!".into(),
            algorithm: Algorithm::Sha512,
            encoding: Encoding::Base64,
            key: Key::Whole,
        };
        let mut mac = Hmac::<Sha512>::new_from_slice(b"s").expect("any length");
        mac.update(BODY);
        mac.update(b"!");
        let written = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(check(&rule, "s", &[("x-sign", &written)], BODY, NOW), Ok(()));
    }
}
