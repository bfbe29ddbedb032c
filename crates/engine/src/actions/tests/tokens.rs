//! Tokens of OAuth 2.0 and OpenID Connect, with an authorization server that checks who asks.
//!
//! Invariant: the server's requests are looked at, not only counted.
//! Not here: what the endpoint does with a token.

use super::{Bed, NOW, kind};
use crate::actions::{http::base64, jwt};
use openevent_flow::{Authentication, Authority, Client, ClientAuthentication, Encoding, OAuth2, Token};
use openevent_testkit::{Answer, Received, Receiver};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

fn policy(authority: Authority) -> OAuth2 {
    OAuth2 {
        authority,
        grant: "client_credentials".into(),
        client: Client { id: Some("me".into()), secret: Some("s&cret".into()), ..Client::default() },
        encoding: Encoding::Form,
        issuers: Vec::new(),
        scopes: vec!["a".into(), "b".into()],
        audiences: Vec::new(),
        username: None,
        password: None,
        subject: None,
        actor: None,
    }
}

fn form(request: &Received) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

/// `/token` gives `t1`, `t2`, …; everything else answers 200 to the newest of them.
async fn world(expires_in: i64) -> (Bed, Receiver) {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    let given = std::sync::atomic::AtomicUsize::new(0);
    receiver.answer_with(move |request, _| match request.path() {
        "/token" => {
            let n = given.fetch_add(1, Ordering::SeqCst) + 1;
            Answer::json(
                &json!({"access_token": format!("tok{n}"), "token_type": "Bearer", "expires_in": expires_in}),
            )
        }
        "/.well-known/openid-configuration" => {
            let home = format!("http://{}", request.header("host").unwrap_or_default());
            Answer::json(&json!({"issuer": home, "token_endpoint": format!("{home}/token")}))
        }
        _ => {
            let newest = format!("Bearer tok{}", given.load(Ordering::SeqCst));
            let is_good = request.header("authorization") == Some(newest.as_str());
            if is_good { Answer::json(&json!({"echo": newest})) } else { Answer::status(401) }
        }
    });
    (bed, receiver)
}

fn asked(receiver: &Receiver) -> Vec<Received> {
    receiver.requests().into_iter().filter(|request| request.path() == "/token").collect()
}

fn oauth(policy: &OAuth2) -> Authentication {
    Authentication::OAuth2(Box::new(policy.clone()))
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_never_shown() {
    let (bed, receiver) = world(3_600).await;
    let policy = policy(Authority::Token(receiver.url("/token")));

    let first = bed.get(receiver.url("/a"), oauth(&policy)).await.unwrap();
    let second = bed.get(receiver.url("/b"), oauth(&policy)).await.unwrap();

    assert_eq!((&first["body"], &second["status"]), (&json!({"echo": "Bearer ***"}), &json!(200)));
    assert_eq!(first["authorization"], json!({"scheme": "Bearer", "parameter": "***"}));
    let asked = asked(&receiver);
    assert_eq!(asked.len(), 1);
    let expected = [
        ("client_id", "me"),
        ("client_secret", "s&cret"),
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
    ];
    assert_eq!(form(&asked[0]), expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
}

#[tokio::test]
async fn calls_at_one_time_wait_for_one_token() {
    let (bed, receiver) = world(3_600).await;
    let policy = policy(Authority::Token(receiver.url("/token")));

    let calls = (0..8).map(|n| bed.get(receiver.url(&format!("/{n}")), oauth(&policy)));
    let answers = futures::future::join_all(calls).await;

    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer["status"] == 200)));
    assert_eq!(asked(&receiver).len(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires() {
    let (bed, receiver) = world(60).await;
    let policy = policy(Authority::Token(receiver.url("/token")));

    for (at, tokens) in [(NOW, 1), (NOW + 29_000, 1), (NOW + 31_000, 2)] {
        bed.clock.0.store(at, Ordering::SeqCst);
        assert_eq!(bed.get(receiver.url("/"), oauth(&policy)).await.unwrap()["status"], 200);
        assert_eq!(asked(&receiver).len(), tokens, "{at}");
    }
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_once() {
    let (bed, receiver) = world(3_600).await;
    let policy = policy(Authority::Token(receiver.url("/token")));
    bed.get(receiver.url("/"), oauth(&policy)).await.unwrap();
    let mut others = policy.clone();
    others.scopes.clear();
    // Another policy's token makes ours an old one.
    bed.get(receiver.url("/"), oauth(&others)).await.unwrap();

    let answer = bed.get(receiver.url("/"), oauth(&policy)).await.unwrap();

    assert_eq!((&answer["status"], asked(&receiver).len()), (&json!(200), 3));
}

#[tokio::test]
async fn a_provider_is_asked_where_its_tokens_are() {
    let (bed, receiver) = world(3_600).await;
    for provider in [receiver.url(""), receiver.url("/.well-known/openid-configuration")] {
        let answer =
            bed.get(receiver.url("/"), oauth(&policy(Authority::Discovery(provider)))).await.unwrap();
        assert_eq!(answer["status"], 200);
    }
}

#[tokio::test]
async fn clients_say_who_they_are_in_every_way_there_is() {
    let (bed, receiver) = world(3_600).await;
    let with = |authentication, assertion: Option<&str>| {
        let mut policy = policy(Authority::Token(receiver.url("/token")));
        policy.client.authentication = authentication;
        policy.client.assertion = assertion.map(str::to_owned);
        policy
    };
    for policy in [
        with(ClientAuthentication::ClientSecretBasic, None),
        with(ClientAuthentication::ClientSecretJwt, None),
        with(ClientAuthentication::PrivateKeyJwt, Some("signed")),
        with(ClientAuthentication::None, None),
    ] {
        assert_eq!(bed.get(receiver.url("/"), oauth(&policy)).await.unwrap()["status"], 200);
    }

    let asked = asked(&receiver);
    assert_eq!(asked[0].header("authorization"), Some(format!("Basic {}", base64(b"me:s%26cret")).as_str()));
    assert!(!form(&asked[0]).contains_key("client_secret"));
    let assertion = &form(&asked[1])["client_assertion"];
    assert_eq!(jwt::issuer(assertion).as_deref(), Some("me"));
    let claims = assertion.split('.').nth(1).unwrap_or_default();
    let claims: Value = serde_json::from_slice(
        &base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap(),
    )
    .unwrap();
    assert_eq!(*assertion, jwt::sign(&claims, "s&cret"));
    assert_eq!((&claims["aud"], &claims["exp"]), (&json!(receiver.url("/token")), &json!(NOW / 1_000 + 300)));
    assert_eq!(form(&asked[2])["client_assertion"], "signed");
    let open = form(&asked[3]);
    assert_eq!(
        (open.get("client_id").map(String::as_str), open.contains_key("client_secret")),
        (Some("me"), false)
    );
}

#[tokio::test]
async fn every_grant_sends_what_it_needs() {
    let (bed, receiver) = world(3_600).await;
    let token =
        |text: &str| Some(Token { token: text.into(), kind: "urn:ietf:params:oauth:token-type:jwt".into() });
    let base = policy(Authority::Token(receiver.url("/token")));
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let password = OAuth2 {
        grant: "password".into(),
        username: Some("u".into()),
        password: Some("p".into()),
        ..base.clone()
    };
    let refresh = OAuth2 { grant: "refresh_token".into(), subject: token("r"), ..base.clone() };
    let code = OAuth2 {
        grant: "authorization_code".into(),
        subject: token("c"),
        encoding: Encoding::Json,
        audiences: vec!["x".into(), "y".into()],
        ..base.clone()
    };
    let exchanged = OAuth2 { grant: exchange.into(), subject: token("s"), actor: token("a"), ..base.clone() };
    for policy in [&password, &refresh, &code, &exchanged] {
        assert_eq!(
            bed.get(receiver.url("/"), oauth(policy)).await.unwrap()["status"],
            200,
            "{}",
            policy.grant
        );
    }
    let without = OAuth2 { grant: "refresh_token".into(), ..base };
    let fault = bed.get(receiver.url("/"), oauth(&without)).await.unwrap_err();

    let asked = asked(&receiver);
    assert_eq!((form(&asked[0])["username"].as_str(), form(&asked[0])["password"].as_str()), ("u", "p"));
    assert_eq!(form(&asked[1])["refresh_token"], "r");
    assert_eq!((&asked[2].json()["code"], &asked[2].json()["audience"]), (&json!("c"), &json!(["x", "y"])));
    assert_eq!(
        (form(&asked[3])["subject_token"].as_str(), form(&asked[3])["actor_token"].as_str()),
        ("s", "a")
    );
    assert_eq!((kind(&fault), asked.len()), ("configuration", 4));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    let policy = policy(Authority::Token(receiver.url("/token")));
    for (status, error, expected) in [
        (401, "invalid_client", ("authentication", 401)),
        (400, "invalid_grant", ("authentication", 401)),
        (400, "unauthorized_client", ("authorization", 403)),
        (403, "x", ("authorization", 403)),
        (503, "x", ("communication", 503)),
    ] {
        receiver.answer_with(move |_, _| Answer { status, ..Answer::json(&json!({"error": error})) });
        let fault = bed.get(receiver.url("/"), oauth(&policy)).await.unwrap_err();
        assert_eq!((kind(&fault), fault.status), expected, "{status} {error}");
    }
    receiver.answer_with(|_, _| Answer::json(&json!({"token": "x"})));
    assert_eq!(kind(&bed.get(receiver.url("/"), oauth(&policy)).await.unwrap_err()), "authentication");
}

#[tokio::test]
async fn a_token_of_an_issuer_that_is_not_named_is_refused() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    let token = jwt::sign(&json!({"iss": "https://issuer.test"}), "k");
    receiver.answer_with(move |_, _| Answer::json(&json!({"access_token": token, "expires_in": 60})));
    let with = |issuer: &str| OAuth2 {
        issuers: vec![issuer.into()],
        ..policy(Authority::Token(receiver.url("/token")))
    };

    let good = bed.get(receiver.url("/"), oauth(&with("https://issuer.test"))).await;
    let bad = bed.get(receiver.url("/"), oauth(&with("https://other.test"))).await.unwrap_err();

    assert!(good.is_ok());
    assert_eq!(kind(&bad), "authentication");
}

#[tokio::test]
async fn an_authorization_server_that_is_away_is_a_communication_fault() {
    let bed = Bed::new().await;
    let policy = policy(Authority::Token("http://127.0.0.1:9/token".into()));

    let fault = bed.get("http://127.0.0.1:9/".into(), oauth(&policy)).await.unwrap_err();

    assert_eq!(kind(&fault), "communication");
}
