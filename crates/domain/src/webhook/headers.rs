//! The headers of a delivery: the documented ones, and those of Standard Webhooks beside them.
//!
//! Invariant: made for one attempt, over the very body that it sends.
//! Not here: the body, which is the same for every attempt.

use super::{DeliveryId, Signer};
use crate::ambient::Millis;
use std::fmt::Write as _;

/// The headers of an attempt at this time. The first signer's secret is the one in force; others hold for a while yet.
pub fn headers<'a>(
    id: &DeliveryId,
    event: &str,
    signers: impl Iterator<Item = &'a Signer> + Clone,
    body: &[u8],
    at: Millis,
) -> Vec<(String, String)> {
    let (id, at_s) = (id.as_str(), at.div_euclid(1_000));
    let standard: Vec<_> = signers.clone().map(|signer| signer.standard(id, at_s, body)).collect();
    let mut documented = signers.map(|signer| signer.documented(at, body));
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-openevent-signature", documented.next().unwrap_or_default()),
        ("x-openevent-timestamp", at.to_string()),
        ("x-openevent-event", ascii(event)),
        ("x-openevent-delivery-id", id.to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at_s.to_string()),
        ("webhook-signature", standard.join(" ")),
    ];
    // While an old secret still holds, who has not changed it yet finds its signature here.
    headers.extend(documented.next().map(|old| ("x-openevent-signature-previous", old)));
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A name as it may stand in a header: letters beyond ASCII are percent-encoded; the body has them as they are.
fn ascii(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_signatures_of_both_secrets_are_there() {
        let signers = [Signer::of("whsec_bmV3"), Signer::of("whsec_b2xk")];
        let id = DeliveryId::trusted("wh_1_a".into());
        let made = headers(&id, "größe", signers.iter(), b"{}", 1_500);
        let of = |name: &str| made.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());

        assert_eq!(of("x-openevent-event"), Some("gr%C3%B6%C3%9Fe"));
        assert_eq!((of("x-openevent-timestamp"), of("webhook-timestamp")), (Some("1500"), Some("1")));
        assert_eq!(of("x-openevent-signature"), Some(signers[0].documented(1_500, b"{}").as_str()));
        assert_eq!(of("x-openevent-signature-previous"), Some(signers[1].documented(1_500, b"{}").as_str()));
        assert_eq!(of("webhook-signature").map(|text| text.split(' ').count()), Some(2));
    }
}
