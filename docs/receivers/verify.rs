//! Checks a request of ours. Needs the crates `hmac` 0.13 and `sha2` 0.11.
//!
//! Invariant: signatures are compared in constant time, and old requests are refused.
//! Not here: remembering which deliveries were handled.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::{Duration, SystemTime};

/// The oldest request that is accepted.
const AGE_MAX: Duration = Duration::from_mins(5);

/// `raw_body` are the bytes as they came, before any parser; `timestamp` and `signature` are the headers
/// `X-OpenEvent-Timestamp` and `X-OpenEvent-Signature`.
pub(crate) fn verify(
    secret: &str,
    timestamp: &str,
    signature: &str,
    raw_body: &[u8],
    now: SystemTime,
) -> bool {
    let Ok(sent_ms) = timestamp.parse() else { return false };
    let sent = SystemTime::UNIX_EPOCH + Duration::from_millis(sent_ms);
    let age = now.duration_since(sent).unwrap_or_else(|ahead| ahead.duration());
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(raw_body);
    let byte = |at| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok();
    let given: Option<Vec<u8>> = (0..signature.len()).step_by(2).map(byte).collect();
    age < AGE_MAX && given.is_some_and(|given| mac.verify_slice(&given).is_ok())
}
