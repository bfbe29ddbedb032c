//! Rate limits: exact under load, per address without a credential, kept over a restart.

use crate::support::{HOUR_MS, OPERATOR, Place, START, Server, code, fresh, settings};
use openevent_server::Settings;
use openevent_testkit::Reply;

const PATH: &str = "/api/v1/event-types";
const JSON: (&str, &str) = ("content-type", "application/json");

fn remaining(reply: &Reply) -> i64 {
    reply.header("x-ratelimit-remaining").expect("a rate-limit header").parse().expect("a number")
}

#[tokio::test]
async fn of_fifty_calls_at_once_on_a_limit_of_ten_ten_succeed() {
    let (_place, server) = fresh().await;
    let (key, _) = server.key(&["workflows:read"], Some(10)).await;
    let headers = [("x-api-key", key.as_str())];
    let calls = (0..50).map(|_| server.get(PATH, &headers));
    let replies = futures::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 10);
    assert_eq!(replies.iter().filter(|reply| reply.status == 429).count(), 40);
}

#[tokio::test]
async fn a_refused_call_is_told_when_to_come_back() {
    let (place, server) = fresh().await;
    let (key, _) = server.key(&["workflows:read"], Some(1)).await;
    let headers = [("x-api-key", key.as_str())];
    let first = server.get(PATH, &headers).await;
    assert_eq!((first.status, remaining(&first)), (200, 0));
    assert_eq!(first.header("x-ratelimit-limit"), Some("1"));
    assert_eq!(first.header("x-ratelimit-reset"), Some((START + HOUR_MS).to_string().as_str()));
    place.clock.advance(HOUR_MS - 1_832_000);
    let refused = server.get(PATH, &headers).await;
    assert_eq!((refused.status, code(&refused).as_str()), (429, "RATE_LIMIT_EXCEEDED"));
    assert_eq!(refused.json()["error"]["message"], "Rate limit exceeded. Try again in 1832 seconds.");
    assert_eq!(refused.header("retry-after"), Some("1832"));
    place.clock.advance(1_832_000);
    assert_eq!(server.get(PATH, &headers).await.status, 200);
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let (_place, server) = fresh().await;
    let (key, _) = server.key(&["runs:read"], None).await;
    let key = ("x-api-key", key.as_str());
    for (path, headers, limit) in [
        ("/api/v1/nothing", &[key][..], "1000"),
        (PATH, &[key][..], "1000"),
        (PATH, &[][..], "1000"),
        ("/api/v1", &[][..], "1000"),
        ("/nothing", &[][..], "1000"),
        ("/health", &[][..], "1000"),
    ] {
        let reply = server.get(path, headers).await;
        assert_eq!(reply.header("x-ratelimit-limit"), Some(limit), "{path}");
        assert!(remaining(&reply) <= 1000 && reply.header("x-ratelimit-reset").is_some(), "{path}");
    }
}

#[tokio::test]
async fn the_static_token_is_unlimited_unless_configured() {
    let (_place, server) = fresh().await;
    assert_eq!(server.get(PATH, &[OPERATOR]).await.header("x-ratelimit-limit"), None);
    let place = Place::new();
    let server = place.serve(Settings { static_rate_per_minute: Some(2), ..settings() }).await;
    let statuses = [
        server.get(PATH, &[OPERATOR]).await.status,
        server.get(PATH, &[OPERATOR]).await.status,
        server.get(PATH, &[OPERATOR]).await.status,
    ];
    assert_eq!(statuses, [200, 200, 429]);
    place.clock.advance(60_000);
    assert_eq!(server.get(PATH, &[OPERATOR]).await.status, 200);
}

#[tokio::test]
async fn bad_credentials_count_against_the_address_and_good_ones_do_not() {
    let place = Place::new();
    let server = place.serve(Settings { address_rate_per_hour: 3, ..settings() }).await;
    for expected in [2, 1, 0] {
        assert_eq!(remaining(&server.get(PATH, &[("x-api-key", "oe_live_bad")]).await), expected);
    }
    for headers in [&[("x-api-key", "oe_live_bad")][..], &[][..]] {
        assert_eq!(server.get(PATH, headers).await.status, 429);
    }
    assert_eq!(server.get("/api/v1", &[]).await.status, 429);
    let (key, _) = server.key(&["workflows:read"], None).await;
    assert_eq!(server.get(PATH, &[("x-api-key", &key)]).await.status, 200);
}

#[tokio::test]
async fn webhooks_of_others_count_when_their_signature_is_bad() {
    let place = Place::new();
    let keys = tempfile::tempdir().expect("a folder");
    let key_file = Some(keys.path().join("openevent.key"));
    let server = place.serve(Settings { address_rate_per_hour: 3, key_file, ..settings() }).await;
    let source = r#"{"name": "github", "preset": "github", "secret": "It's a Secret to Everybody",
                     "eventName": "\"push\"", "eventId": "null"}"#;
    assert_eq!(server.send("POST", "/api/v1/sources", &[OPERATOR, JSON], source).await.status, 201);
    // GitHub's own example, as its body is no JSON: signed well, and refused for what it says.
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let send = async |signature: &str| {
        let headers = [JSON, ("x-hub-signature-256", signature)];
        server.send("POST", "/api/v1/hooks/github", &headers, "Hello, World!").await.status
    };

    for _ in 0..5 {
        assert_eq!(send(good).await, 400);
    }
    for _ in 0..3 {
        assert_eq!(send("sha256=00").await, 401);
    }
    assert_eq!((send("sha256=00").await, send(good).await), (429, 429));
}

#[tokio::test]
async fn health_is_never_refused() {
    let place = Place::new();
    let server = place.serve(Settings { address_rate_per_hour: 0, ..settings() }).await;
    for path in ["/health", "/api/health", "/metrics", "/docs", "/openapi.json", "/"] {
        assert_eq!(server.get(path, &[]).await.status, 200, "{path}");
    }
    assert_eq!(server.get("/api/v1", &[]).await.status, 429);
}

#[tokio::test]
async fn counts_survive_a_restart() {
    let (place, server) = fresh().await;
    let (key, _) = server.key(&["workflows:read"], Some(5)).await;
    for _ in 0..3 {
        server.get(PATH, &[("x-api-key", &key)]).await;
    }
    server.get(PATH, &[]).await;
    server.end().await;
    let server: Server = place.serve(settings()).await;
    assert_eq!(remaining(&server.get(PATH, &[("x-api-key", &key)]).await), 1);
    assert_eq!(remaining(&server.get(PATH, &[]).await), 998);
}

#[tokio::test]
async fn counts_of_a_past_hour_do_not_survive() {
    let (place, server) = fresh().await;
    let (key, _) = server.key(&["workflows:read"], Some(5)).await;
    server.get(PATH, &[("x-api-key", &key)]).await;
    server.end().await;
    place.clock.advance(HOUR_MS);
    let server = place.serve(settings()).await;
    assert_eq!(remaining(&server.get(PATH, &[("x-api-key", &key)]).await), 4);
}

#[tokio::test]
async fn a_record_is_believed_for_less_than_a_second() {
    let (place, server) = fresh().await;
    let (key, record) = server.key(&["workflows:read"], Some(5)).await;
    server.get(PATH, &[("x-api-key", &key)]).await;
    let mut set = openevent_store::WriteSet::new();
    set.revoke_key(&record.id, START);
    server.app.store.submit(set).await.expect("revoked");
    place.clock.advance(999);
    assert_eq!(server.get(PATH, &[("x-api-key", &key)]).await.status, 200, "still believed");
    place.clock.advance(1);
    assert_eq!(server.get(PATH, &[("x-api-key", &key)]).await.status, 401);
}

#[tokio::test]
async fn what_strangers_leave_here_has_a_stricter_limit_of_its_own() {
    let place = Place::new();
    let server = place.serve(Settings { public_intake_per_hour: 2, ..settings() }).await;
    let path = "/api/v1/public/applications/vendor";
    let send =
        async |body: &str| server.send("POST", path, &[("content-type", "application/json")], body).await;
    let taken = send(r#"{"name":"Cakes","category":"catering"}"#).await;
    assert_eq!((taken.status, taken.header("x-ratelimit-limit"), remaining(&taken)), (201, Some("2"), 1));
    let wrong = send("{}").await;
    assert_eq!((wrong.status, remaining(&wrong)), (400, 0));
    let refused = send(r#"{"name":"Pies","category":"catering"}"#).await;
    assert_eq!((refused.status, code(&refused).as_str()), (429, "RATE_LIMIT_EXCEEDED"));
    assert!(refused.header("retry-after").is_some());
    let read = server.get("/api/v1/public/vendors", &[]).await;
    assert_eq!((read.status, read.header("x-ratelimit-limit")), (200, Some("1000")));
    place.clock.advance(HOUR_MS);
    assert_eq!(send(r#"{"name":"Pies","category":"catering"}"#).await.status, 201);
}
