//! The verifying code that receivers written in Rust copy.
//!
//! Invariant: it accepts what we sign, and nothing else.
//! Not here: the other languages (`crates/cli/tests`).

#[path = "../../../docs/receivers/verify.rs"]
mod verify;

use openevent_domain::webhook::Signer;
use std::time::{Duration, SystemTime};

#[test]
fn a_receiver_accepts_what_we_sign_and_nothing_else() {
    let at = 1_700_000_000_000;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(at as u64);
    let signature = Signer::of("whsec_abc123").documented(at, b"{}");
    let check = |secret, signature: &str, body: &[u8], later| {
        verify::verify(secret, &at.to_string(), signature, body, now + Duration::from_secs(later))
    };

    assert!(check("whsec_abc123", &signature, b"{}", 0) && check("whsec_abc123", &signature, b"{}", 299));
    assert!(!check("whsec_other", &signature, b"{}", 0));
    assert!(!check("whsec_abc123", &signature, b"{ }", 0));
    assert!(!check("whsec_abc123", &signature, b"{}", 300));
    for bad in ["", "zz", "ü", &signature[1..], &signature[2..]] {
        assert!(!check("whsec_abc123", bad, b"{}", 0), "{bad}");
    }
}
