//! Secrets of webhooks, and the two signatures made with them.
//!
//! Invariant: a signature is made of the very bytes that are sent; nothing printed shows a secret.
//! Not here: keeping secrets.

use crate::ambient::{Chance, Millis};
use crate::api_key::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What every secret begins with.
pub const SECRET_PREFIX: &str = "whsec_";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// A new secret: `whsec_` and the base64 of 32 random bytes.
pub fn mint_secret(chance: &dyn Chance) -> String {
    let mut bytes = [0; SECRET_BYTES];
    chance.fill(&mut bytes);
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

/// Signs with one secret.
#[derive(Clone)]
pub struct Signer {
    /// Keyed with the secret as people see it.
    documented: Hmac<Sha256>,
    /// Keyed with the bytes behind the prefix.
    standard: Hmac<Sha256>,
}

impl Signer {
    /// A signer with this secret. What does not decode as base64 is the standard's key as it is.
    pub fn of(secret: &str) -> Self {
        let encoded = secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret);
        let decoded = STANDARD.decode(encoded).unwrap_or_else(|_| encoded.as_bytes().to_vec());
        Self { documented: keyed(secret.as_bytes()), standard: keyed(&decoded) }
    }

    /// `X-OpenEvent-Signature`: lower-case hex over `<milliseconds>.<body>`.
    pub fn documented(&self, at: Millis, body: &[u8]) -> String {
        hex(&sign(&self.documented, &[at.to_string().as_bytes(), b".", body]))
    }

    /// One `v1` entry of `webhook-signature`: base64 over `<id>.<seconds>.<body>`.
    pub fn standard(&self, id: &str, at_s: i64, body: &[u8]) -> String {
        let at = at_s.to_string();
        let signed = sign(&self.standard, &[id.as_bytes(), b".", at.as_bytes(), b".", body]);
        format!("v1,{}", STANDARD.encode(signed))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length; the error type is the trait's.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&[0; 64].into()))
}

fn sign(keyed: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
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
    fn a_secret_is_base64_of_32_bytes_behind_its_prefix() {
        let secret = mint_secret(&Ones);
        let decoded = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(decoded, [1; 32]);
    }

    #[test]
    fn the_documented_signature_is_keyed_with_the_whole_secret() {
        // printf '1699900000000.{}' | openssl dgst -sha256 -hmac 'whsec_abc123'
        let signature = Signer::of("whsec_abc123").documented(1_699_900_000_000, b"{}");
        assert_eq!(signature, "64c636c65f2e82cbef14e0576f383a04c76c8a6ef82b69118dddb221fbf2a659");
    }

    #[test]
    fn the_standard_signature_agrees_with_its_published_vector() {
        let signer = Signer::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signature = signer.standard("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn printing_a_signer_shows_nothing() {
        assert_eq!(format!("{:?}", Signer::of("whsec_abc123")), "Signer");
    }
}
