//! JSON Web Tokens, as far as a client needs them: signing one with its secret, and reading who issued one.
//!
//! Invariant: a token that is read here is not verified; only the one it is for can do that.
//! Not here: asymmetric signatures; authors bring those ready-made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// Signs claims with HMAC-SHA-256.
pub(super) fn sign(claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What a token claims to be issued by, if it is a JWT that says so.
pub(super) fn issuer(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_token_says_its_issuer_and_other_text_says_none() {
        let token = sign(&json!({"iss": "me"}), "secret");

        assert_eq!(issuer(&token).as_deref(), Some("me"));
        // The signature of a known pair, as any other library makes it.
        assert!(sign(&json!({}), "k").starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30."));
        for text in ["opaque", "a.b.c", "", "e30.e30.x"] {
            assert_eq!(issuer(text), None, "{text}");
        }
    }
}
