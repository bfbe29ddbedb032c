//! The body of a delivery.
//!
//! Invariant: made of what is stored and nothing else, so every attempt sends the same bytes.
//! Not here: headers, which differ from attempt to attempt.

use super::DeliveryId;
use crate::ambient::Millis;

/// `{"id","event","timestamp","data"}`; `payload` is JSON text and goes in as it is.
pub fn body(id: &DeliveryId, event: &str, at: Millis, payload: &str) -> Vec<u8> {
    // A signal's name holds nothing that JSON would escape (see `signal::SignalName`), but may hold any letter.
    let name = serde_json::Value::from(event);
    format!(r#"{{"id":"{id}","event":{name},"timestamp":{at},"data":{payload}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_as_documented_and_keeps_the_payload_as_it_was_given() {
        let id = DeliveryId::trusted("wh_1699900000_abc123".into());
        let text = body(&id, "event.created", 1_699_900_000_000, r#"{"n":1.50,"title":"Tech"}"#);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"id":"wh_1699900000_abc123","event":"event.created","timestamp":1699900000000,"data":{"n":1.50,"title":"Tech"}}"#
        );
    }
}
