//! Webhooks of others: who may send them, and the signals they become.
//!
//! Invariant: what is not signed by one of a source's secrets, lately, leaves nothing behind.
//! Not here: the rules of signatures one by one (the domain's tests).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use openevent_domain::api_key::hex;
use openevent_domain::tenant::Environment;
use openevent_testkit::Reply;
use serde_json::{Value, json};
use sha2::Sha256;

const SOURCES: &str = "/api/v1/sources";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn made(bed: &Bed, body: &Value) -> Value {
    let reply = bed.post(SOURCES, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["data"].clone()
}

fn mac(key: &[u8], signed: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn now_s(bed: &Bed) -> String {
    (bed.app.clock.now() / 1_000).to_string()
}

async fn hook(bed: &Bed, source: &Value, headers: &[(&str, &str)], body: &str) -> Reply {
    bed.send("POST", source["path"].as_str().expect("a path"), headers, body.to_owned()).await
}

/// Sends as Stripe does.
async fn stripe(bed: &Bed, source: &Value, secret: &str, body: &str) -> Reply {
    let at = now_s(bed);
    let signature = format!("t={at},v1={}", hex(&mac(secret.as_bytes(), &format!("{at}.{body}"))));
    hook(bed, source, &[JSON, ("stripe-signature", &signature)], body).await
}

/// All signals, newest first: names and payloads.
async fn signals(bed: &Bed) -> Vec<(String, Value)> {
    let list = bed.data("/api/v1/signals").await;
    let list = list.as_array().expect("a list").iter();
    list.map(|signal| (signal["name"].as_str().expect("a name").to_owned(), signal["payload"].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_webhook_becomes_a_signal_once() {
    on_both(async |bed| {
        let source = made(bed, &json!({"name": "stripe", "preset": "stripe", "secret": SECRET})).await;
        let body =
            r#"{"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {"amount": 5}}}"#;

        let first = stripe(bed, &source, SECRET, body).await;
        let again = stripe(bed, &source, SECRET, body).await;
        let by_name = json!({"path": "/api/v1/hooks/stripe"});
        let other = stripe(bed, &by_name, SECRET, &body.replace("evt_1", "evt_2")).await;

        assert_eq!((first.status, again.status, other.status), (202, 202, 202), "{}", first.text());
        assert_eq!(first.json()["data"].get("runs"), None, "senders are not told what they started");
        assert_eq!(again.json()["data"]["event_id"], first.json()["data"]["event_id"]);
        assert_eq!(again.json()["data"]["duplicate"], true);
        let signals = signals(bed).await;
        assert_eq!(signals.len(), 2);
        assert_eq!(signals[1].0, "stripe.payment_intent.succeeded");
        assert_eq!(signals[1].1["data"]["object"]["amount"], 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_well_is_refused_and_leaves_nothing() {
    on_both(async |bed| {
        let source = made(bed, &json!({"name": "stripe", "preset": "stripe", "secret": SECRET})).await;
        let body = r#"{"id": "evt_1", "type": "a"}"#;
        let old = (bed.app.clock.now() / 1_000 - 301).to_string();
        let stale = format!("t={old},v1={}", hex(&mac(SECRET.as_bytes(), &format!("{old}.{body}"))));

        let unsigned = hook(bed, &source, &[JSON], body).await;
        let other = stripe(bed, &source, "whsec_other", body).await;
        let stale = hook(bed, &source, &[JSON, ("stripe-signature", &stale)], body).await;
        let unknown = bed.send("POST", "/api/v1/hooks/nobody", &[JSON], body.to_owned()).await;

        for refused in [&unsigned, &other, &stale] {
            assert_eq!((refused.status, code(refused).as_str()), (401, "UNAUTHORIZED"), "{}", refused.text());
        }
        assert!(unsigned.text().contains("stripe-signature is missing"), "{}", unsigned.text());
        assert!(stale.text().contains("five minutes"), "{}", stale.text());
        assert_eq!((unknown.status, code(&unknown).as_str()), (404, "NOT_FOUND"));
        assert!(signals(bed).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_preset_reads_what_its_sender_sends() {
    on_both(async |bed| {
        let of = async |name: &str| made(bed, &json!({"name": name, "preset": name, "secret": SECRET})).await;
        let (github, slack, shopify) = (of("github").await, of("slack").await, of("shopify").await);
        let standard = of("standard-webhooks").await;
        let at = now_s(bed);

        let body = r#"{"action": "opened", "number": 1}"#;
        let signature = format!("sha256={}", hex(&mac(SECRET.as_bytes(), body)));
        let headers = [
            JSON,
            ("x-hub-signature-256", &*signature),
            ("x-github-event", "pull_request"),
            ("x-github-delivery", "d1"),
        ];
        assert_eq!(hook(bed, &github, &headers, body).await.status, 202);

        let body = r#"{"type": "url_verification", "challenge": "c1"}"#;
        let signature = format!("v0={}", hex(&mac(SECRET.as_bytes(), &format!("v0:{at}:{body}"))));
        let headers = [JSON, ("x-slack-signature", &*signature), ("x-slack-request-timestamp", &*at)];
        let challenged = hook(bed, &slack, &headers, body).await;
        assert_eq!((challenged.status, challenged.json()), (200, json!({"challenge": "c1"})));
        let body = "command=%2Fplan&text=party&trigger_id=t1";
        let signature = format!("v0={}", hex(&mac(SECRET.as_bytes(), &format!("v0:{at}:{body}"))));
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [form, ("x-slack-signature", &*signature), ("x-slack-request-timestamp", &*at)];
        assert_eq!(hook(bed, &slack, &headers, body).await.status, 202);

        let body = r#"{"id": 820982911946154508}"#;
        let signature = STANDARD.encode(mac(SECRET.as_bytes(), body));
        let headers = [
            JSON,
            ("x-shopify-hmac-sha256", &*signature),
            ("x-shopify-topic", "orders/create"),
            ("x-shopify-webhook-id", "w1"),
        ];
        assert_eq!(hook(bed, &shopify, &headers, body).await.status, 202);

        let body = r#"{"type": "user.created", "data": {"name": "Ada"}}"#;
        let key = STANDARD.decode(&SECRET["whsec_".len()..]).expect("base64");
        let signature = format!("v1,{}", STANDARD.encode(mac(&key, &format!("msg_1.{at}.{body}"))));
        let headers =
            [JSON, ("webhook-id", "msg_1"), ("webhook-timestamp", &*at), ("webhook-signature", &*signature)];
        assert_eq!(hook(bed, &standard, &headers, body).await.status, 202);

        let names: Vec<String> = signals(bed).await.into_iter().rev().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "github.pull_request.opened",
                "slack.command",
                "shopify.orders.create",
                "standard-webhooks.user.created"
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_maps_what_comes_as_they_like() {
    on_both(async |bed| {
        let body = json!({"name": "shop", "preset": "none", "payload": ".data.object", "eventId": ".n",
                          "eventName": "{\"paid\": \"payment.completed\", \"odd\": \"no name\"}[.type]"});
        let source = made(bed, &body).await;
        let send = async |body: Value| hook(bed, &source, &[JSON], &body.to_string()).await;

        let taken = send(json!({"type": "paid", "n": 7, "data": {"object": {"amount": 5}}})).await;
        let ignored = send(json!({"type": "other"})).await;
        let odd = send(json!({"type": "odd"})).await;
        let bare = send(json!({"type": "paid", "n": 8, "data": {"object": [1]}})).await;
        let wrong = send(json!("text")).await;
        let broken = hook(bed, &source, &[JSON], "{").await;
        let by_name = bed.send("POST", "/api/v1/hooks/shop", &[JSON], "{}".to_owned()).await;

        assert_eq!((taken.status, bare.status, ignored.status), (202, 202, 202));
        assert_eq!(ignored.json()["data"], json!({"ignored": true}));
        assert_eq!((odd.status, wrong.status, broken.status), (400, 400, 400), "{}", wrong.text());
        assert!(odd.text().contains("letters, digits"), "{}", odd.text());
        assert_eq!(by_name.status, 404, "who does not sign is called by an id that nobody guesses");
        assert_eq!(
            signals(bed).await,
            [
                ("payment.completed".to_owned(), json!({"value": [1]})),
                ("payment.completed".to_owned(), json!({"amount": 5})),
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_change_without_a_gap_and_are_never_shown() {
    on_both(async |bed| {
        let source = made(bed, &json!({"name": "s", "preset": "stripe", "secret": "old"})).await;
        let path = format!("{SOURCES}/{}", source["id"].as_str().expect("an id"));
        let patch = async |body: Value| bed.send("PATCH", &path, &[OPERATOR, JSON], body.to_string()).await;
        let mut n = 0;
        let mut sent = async |secret: &str| {
            n += 1;
            stripe(bed, &source, secret, &json!({"id": n, "type": "a"}).to_string()).await.status
        };
        assert_eq!((sent("old").await, sent("new").await), (202, 401));

        assert_eq!(patch(json!({"secret": ["old", "new"]})).await.status, 200);
        assert_eq!((sent("old").await, sent("new").await), (202, 202));
        assert_eq!(patch(json!({"secret": "new"})).await.status, 200);
        assert_eq!((sent("old").await, sent("new").await), (401, 202));
        assert_eq!(patch(json!({"status": "paused"})).await.status, 200);
        assert_eq!(sent("new").await, 503);

        let shown = bed.data(&path).await;
        assert_eq!((&shown["hasSecret"], shown.get("secret")), (&json!(true), None));
        assert_eq!(bed.send("DELETE", &path, &[OPERATOR], "").await.status, 200);
        assert_eq!(sent("new").await, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_belongs_to_its_project_and_so_do_its_signals() {
    on_both(async |bed| {
        let other = bed.project("other").await;
        let key = bed.plain_key_of(&other, Environment::Live, &["*"]).await;
        let theirs = ("x-api-key", key.as_str());
        let body = json!({"name": "stripe", "preset": "stripe", "secret": SECRET});
        let source =
            bed.send("POST", SOURCES, &[theirs, JSON], body.to_string()).await.json()["data"].clone();
        made(bed, &body).await;

        let taken = stripe(bed, &source, SECRET, r#"{"id": "evt_1", "type": "a"}"#).await;

        assert_eq!(taken.status, 202, "{}", taken.text());
        assert!(signals(bed).await.is_empty());
        let list = bed.send("GET", "/api/v1/signals", &[theirs], "").await.json();
        assert_eq!(list["data"][0]["name"], "stripe.a");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_makes_no_sense_is_refused_field_by_field() {
    on_both(async |bed| {
        let body = json!({"name": "a b", "preset": "fax", "eventName": ".a[", "secret": [], "status": "odd"});
        let refused = bed.post(SOURCES, &body).await;
        assert_eq!(refused.status, 400);
        let details = refused.json()["error"]["details"].clone();
        let fields: Vec<_> =
            details.as_array().expect("a list").iter().map(|one| one["field"].clone()).collect();
        assert_eq!(fields, ["name", "preset", "eventName", "secret", "status"], "{details}");
        for (body, part) in [
            (json!({"name": "s", "preset": "stripe"}), "secret"),
            (json!({"name": "s", "preset": "hmac", "secret": "x"}), "signature"),
            (
                json!({"name": "s", "preset": "stripe", "secret": "x", "signature": {"header": "x"}}),
                "signature",
            ),
            (json!({"name": "s", "preset": "none", "secret": "x"}), "secret"),
        ] {
            let refused = bed.post(SOURCES, &body).await;
            assert_eq!(
                (refused.status, &refused.json()["error"]["details"][0]["field"]),
                (400, &json!(part)),
                "{body}"
            );
        }
        let body = json!({"name": "s", "preset": "hmac", "secret": "x", "signature": {"header": "X-Sign"}});
        made(bed, &body).await;
        assert_eq!(bed.post(SOURCES, &body).await.status, 409);
        let source = bed.data(SOURCES).await[0].clone();
        let signature = hex(&mac(b"x", "{}"));
        assert_eq!(hook(bed, &source, &[JSON, ("x-sign", &signature)], "{}").await.status, 202);
        assert_eq!(signals(bed).await[0].0, "s.received");
    })
    .await;
}
