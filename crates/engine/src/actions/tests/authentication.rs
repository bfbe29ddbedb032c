//! Basic, bearer and digest, as a server sees them.
//!
//! Invariant: the stub verifies what it gets; it does not only count.
//! Not here: tokens that are asked for (`tokens`).

use super::{Bed, kind};
use crate::actions::http::base64;
use openevent_domain::api_key::hex;
use openevent_flow::Authentication;
use openevent_testkit::{Answer, Received, Receiver};
use serde_json::json;
use sha2::{Digest as _, Sha256};

fn basic(password: &str) -> Authentication {
    Authentication::Basic { username: "me".into(), password: password.into() }
}

fn digest(password: &str) -> Authentication {
    Authentication::Digest { username: "me".into(), password: password.into() }
}

#[tokio::test]
async fn a_name_and_password_are_sent_as_basic_credentials() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);

    let answer = bed.get(receiver.url("/"), basic("pässword:x")).await.unwrap();

    let parameter = base64("me:pässword:x".as_bytes());
    assert_eq!(receiver.requests()[0].header("authorization"), Some(format!("Basic {parameter}").as_str()));
    assert_eq!(answer["authorization"], json!({"scheme": "Basic", "parameter": parameter}));
}

#[tokio::test]
async fn a_bearer_token_is_sent_and_replaces_what_the_author_set() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    let mut call = super::get(receiver.url("/"), Some(Authentication::Bearer { token: "t".into() }));
    call.headers.push(("Authorization".into(), "none".into()));

    let answer = bed.perform(openevent_flow::Call::Http(call), None).await.unwrap();

    let seen = receiver.requests();
    let values: Vec<_> = seen[0].headers.get_all("authorization").iter().collect();
    assert_eq!(values, ["Bearer t"]);
    assert_eq!(answer["authorization"], json!({"scheme": "Bearer", "parameter": "t"}));
}

#[tokio::test]
async fn a_refusal_of_the_endpoint_is_its_answer() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    receiver.answer_with(|_, _| Answer::status(401));

    let answer = bed.get(receiver.url("/"), basic("x")).await.unwrap();

    assert_eq!(answer["status"], 401);
}

/// Answers 200 to who knows the password `right`, else a challenge.
fn guard(request: &Received) -> Answer {
    let challenge =
        r#"Digest realm="r", nonce="n1", qop="auth,auth-int", algorithm=SHA-256-sess, opaque="o""#;
    let Some(given) = request.header("authorization").and_then(|text| text.strip_prefix("Digest ")) else {
        return Answer::status(401).header("www-authenticate", challenge);
    };
    let part = |name: &str| {
        let parts = given.split(", ").filter_map(|part| part.split_once('='));
        parts
            .filter(|(key, _)| *key == name)
            .map(|(_, text)| text.trim_matches('"').to_owned())
            .next()
            .unwrap_or_default()
    };
    let hash = |text: String| hex(&Sha256::digest(text.as_bytes()));
    let cnonce = part("cnonce");
    let secret = hash(format!("{}:n1:{cnonce}", hash("me:r:right".to_owned())));
    let asked = hash(format!("{}:{}", request.method, request.target));
    let expected = hash(format!("{secret}:n1:{}:{cnonce}:auth:{asked}", part("nc")));
    let is_right = part("response") == expected && part("uri") == request.target && part("opaque") == "o";
    if is_right {
        Answer::json(&json!({"ok": true}))
    } else {
        Answer::status(401).header("www-authenticate", challenge)
    }
}

#[tokio::test]
async fn a_digest_challenge_is_answered_once() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    receiver.answer_with(|request, _| guard(request));

    let right = bed.get(receiver.url("/a?b=c%20d"), digest("right")).await.unwrap();
    let wrong = bed.get(receiver.url("/a"), digest("wrong")).await.unwrap();

    assert_eq!((&right["body"], &wrong["status"]), (&json!({"ok": true}), &json!(401)));
    assert_eq!(receiver.count(), 4);
    let keys: Vec<_> =
        receiver.requests().iter().map(|one| one.header("idempotency-key").map(str::to_owned)).collect();
    assert!(keys.iter().all(|key| key.as_deref() == Some("run_1/7")), "{keys:?}");
}

#[tokio::test]
async fn a_challenge_of_another_kind_is_an_authentication_fault() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    receiver.answer_with(|_, _| Answer::status(401).header("www-authenticate", "Basic realm=\"x\""));

    let fault = bed.get(receiver.url("/"), digest("x")).await.unwrap_err();

    assert_eq!((kind(&fault), fault.status), ("authentication", 401));
}
