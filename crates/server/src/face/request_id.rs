//! The name of one request, given by the caller or made here.
//!
//! Invariant: visible ASCII, at most 128 characters, so that it is safe in a header and a log line.
//! Not here: writing it into answers (see `stamp`).

use http::{HeaderMap, HeaderName, HeaderValue};
use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::id::uuid_v7;

/// The header in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id taken from a caller.
pub const CHARS_MAX: usize = 128;

/// The caller's id if it is sane, else a new one that sorts by time.
pub fn of(headers: &HeaderMap, now: Millis, chance: &dyn Chance) -> HeaderValue {
    if let Some(given) = headers.get(X_REQUEST_ID).filter(|given| is_sane(given)) {
        return given.clone();
    }
    let mut text = [0_u8; 36];
    uuid_v7(now, chance).hyphenated().encode_lower(&mut text);
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// An id as text for the log.
pub fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or("none")
}

fn is_sane(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=CHARS_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
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
    fn a_sane_id_is_kept_and_another_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("job-17/3"));
        assert_eq!(of(&headers, 1, &Ones), "job-17/3");
        for bad in ["", "a b", &"x".repeat(129), "gr\u{fc}n"] {
            headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_eq!(text(&of(&headers, 1, &Ones)).len(), 36, "{bad}");
        }
    }
}
