//! Who is let in, in which order things are checked.

use crate::support::{OPERATOR, Place, START, code, fresh, settings};
use openevent_server::Settings;
use openevent_store::WriteSet;

const PATH: &str = "/api/v1/event-types";

#[tokio::test]
async fn what_is_not_a_good_credential_is_401_with_one_message() {
    let (_place, server) = fresh().await;
    let long = format!("oe_live_{}", "x".repeat(2000));
    let cases: [&[(&str, &str)]; 12] = [
        &[],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "s3cret")],
        &[("authorization", "Basic czNjcmV0")],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Bearer dev-token")],
        &[("authorization", "Bearer oe_live_unknown")],
        &[("x-api-key", "oe_live_unknown")],
        &[("x-api-key", "s3cret")],
        &[("x-api-key", "")],
        &[("x-api-key", &long)],
    ];
    for headers in cases {
        let reply = server.get(PATH, headers).await;
        assert_eq!((reply.status, code(&reply).as_str()), (401, "UNAUTHORIZED"), "{headers:?}");
        assert_eq!(reply.json()["error"]["message"], "Invalid or missing API key");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
}

#[tokio::test]
async fn good_credentials_are_let_in_whatever_their_spelling() {
    let (_place, server) = fresh().await;
    let (key, _) = server.key(&["workflows:read"], None).await;
    let (bearer, lower) = (format!("Bearer {key}"), format!("bEARER {key}"));
    let cases: [&[(&str, &str)]; 8] = [
        &[OPERATOR],
        &[("authorization", "bearer s3cret")],
        &[("x-api-key", &key)],
        &[("authorization", &bearer)],
        &[("authorization", &lower)],
        &[("x-api-key", &key), ("authorization", "Bearer wrong")],
        &[("x-api-key", "sk_of_somebody_else"), ("authorization", &bearer)],
        &[("x-api-key", "oe_live_unknown"), OPERATOR],
    ];
    for headers in cases {
        assert_eq!(server.get(PATH, headers).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_valid_x_api_key_wins_over_the_static_token() {
    let (_place, server) = fresh().await;
    let (key, _) = server.key(&["runs:read"], None).await;
    let reply = server.get(PATH, &[("x-api-key", &key), OPERATOR]).await;
    assert_eq!((reply.status, code(&reply).as_str()), (403, "FORBIDDEN"));
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("workflows:read"));
}

#[tokio::test]
async fn a_literal_key_of_any_length_is_looked_up() {
    let (_place, server) = fresh().await;
    server.add(&server.record("oe_live_x", &["workflows:*"], None)).await;
    assert_eq!(server.get(PATH, &[("x-api-key", "oe_live_x")]).await.status, 200);
}

#[tokio::test]
async fn dev_token_works_only_in_development_without_a_token() {
    let dev = [("authorization", "Bearer dev-token")];
    for (token, development, status) in
        [(None, true, 200), (Some(""), true, 200), (None, false, 401), (Some("s3cret"), true, 401)]
    {
        let static_token = token.map(Into::into);
        let place = Place::new();
        let server = place.serve(Settings { static_token, development, ..Settings::default() }).await;
        assert_eq!(server.get(PATH, &dev).await.status, status, "{token:?} {development}");
    }
}

#[tokio::test]
async fn a_key_made_by_another_process_works_at_once() {
    let (place, server) = fresh().await;
    let text = "oe_live_made_elsewhere";
    assert_eq!(server.get(PATH, &[("x-api-key", text)]).await.status, 401);
    let mut set = WriteSet::new();
    set.add_key(&server.record(text, &["*"], None));
    place.store().await.submit(set).await.unwrap();
    assert_eq!(server.get(PATH, &[("x-api-key", text)]).await.status, 200);
}

#[tokio::test]
async fn a_key_revoked_by_another_process_is_refused_within_a_second() {
    let (place, server) = fresh().await;
    let (key, record) = server.key(&["*"], None).await;
    assert_eq!(server.get(PATH, &[("x-api-key", &key)]).await.status, 200);
    let mut set = WriteSet::new();
    set.revoke_key(&record.id, START);
    place.store().await.submit(set).await.unwrap();
    place.clock.advance(1_000);
    assert_eq!(server.get(PATH, &[("x-api-key", &key)]).await.status, 401);
}

#[tokio::test]
async fn an_expired_key_is_refused_on_the_millisecond() {
    let (place, server) = fresh().await;
    let mut record = server.record("oe_live_brief", &["*"], None);
    record.expires_at = Some(START + 10);
    server.add(&record).await;
    assert_eq!(server.get(PATH, &[("x-api-key", "oe_live_brief")]).await.status, 200);
    place.clock.advance(10);
    assert_eq!(server.get(PATH, &[("x-api-key", "oe_live_brief")]).await.status, 401);
}

#[tokio::test]
async fn credential_comes_before_path_and_scope_before_body() {
    let (_place, server) = fresh().await;
    assert_eq!(server.get("/api/v1/nothing", &[]).await.status, 401);
    assert_eq!(server.get("/nothing", &[]).await.status, 404);
    let (key, _) = server.key(&["runs:read"], None).await;
    let scope_first = server
        .send(
            "PUT",
            "/api/v1/event-types/not a name".replace(' ', "%20").as_str(),
            &[("x-api-key", &key)],
            "{broken",
        )
        .await;
    assert_eq!((scope_first.status, code(&scope_first).as_str()), (403, "FORBIDDEN"));
    let body_last = server.send("PUT", "/api/v1/event-types/a", &[OPERATOR], "{broken").await;
    assert_eq!(body_last.status, 400);
}

#[tokio::test]
async fn the_time_of_last_use_is_written_behind() {
    let (place, server) = fresh().await;
    let (key, record) = server.key(&["workflows:read"], None).await;
    place.clock.advance(5_000);
    server.get(PATH, &[("x-api-key", &key)]).await;
    server.end().await;
    let keys = place.store().await.keys().await.unwrap();
    let stored = keys.iter().find(|stored| stored.id == record.id).unwrap();
    assert_eq!(stored.last_used_at, Some(START + 5_000));
}

#[tokio::test]
async fn test_keys_do_not_see_live_data() {
    let (_place, server) = fresh().await;
    server.put("/api/v1/event-types/order.created", &serde_json::json!({"description": "live"})).await;
    let mut record = server.record("oe_test_x", &["*"], None);
    record.tenant =
        openevent_domain::tenant::Tenant::of(&record.project_id, openevent_domain::tenant::Environment::Test);
    server.add(&record).await;
    let reply = server.get("/api/v1/event-types/order.created", &[("x-api-key", "oe_test_x")]).await;
    assert_eq!((reply.status, code(&reply).as_str()), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn a_static_token_that_looks_like_a_key_is_refused_at_start() {
    let settings = Settings { static_token: Some("oe_live_x".into()), ..settings() };
    assert!(Place::new().try_app(settings).await.is_err());
}
