//! Every answer: envelope, request id, rate-limit headers, CORS, problem+json.

use crate::support::{OPERATOR, alone, ask, code, fresh};
use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use http::Method;
use openevent_server::face::gate::gate;
use std::sync::Arc;
use tower::ServiceExt;

#[tokio::test]
async fn every_failure_on_every_path_is_in_the_envelope() {
    let (_place, server) = fresh().await;
    for (method, path, status, word) in [
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1/event-types/", 404, "NOT_FOUND"),
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v2/nothing", 404, "NOT_FOUND"),
        ("POST", "/api/v1/event-types", 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("BREW", "/api/v1/event-types", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/event-types/no.such.type", 404, "NOT_FOUND"),
        ("GET", "/api/v1/event-types/%ff%fe", 400, "BAD_REQUEST"),
    ] {
        let reply = server.send(method, path, &[OPERATOR], "").await;
        assert_eq!(
            (reply.status, code(&reply).as_str()),
            (status, word),
            "{method} {path}: {}",
            reply.text()
        );
        assert_eq!(reply.header("content-type"), Some("application/json"), "{method} {path}");
        assert!(reply.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let (_place, server) = fresh().await;
    let reply = server.send("DELETE", "/api/v1/event-types", &[OPERATOR], "").await;
    let allow = reply.header("allow").expect("an Allow header");
    assert!(allow.contains("GET"), "{allow}");
}

#[tokio::test]
async fn a_strange_query_string_is_never_a_failure() {
    let (_place, server) = fresh().await;
    for query in ["%", "%zz=1", "page=%ff", "page=1&page", "&&&=", "limit=-1&page=1e9", "fields=%00,a"] {
        let reply = server.get(&format!("/api/v1/event-types?{query}"), &[OPERATOR]).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_request_id_is_kept_when_sane_and_made_when_not() {
    let (_place, server) = fresh().await;
    let kept = server.get("/health", &[("x-request-id", "job-17")]).await;
    assert_eq!(kept.header("x-request-id"), Some("job-17"));
    let long = "x".repeat(129);
    for given in ["", "two words", long.as_str()] {
        let made = server.get("/health", &[("x-request-id", given)]).await;
        assert_eq!(made.header("x-request-id").map(str::len), Some(36), "{given}");
    }
}

#[tokio::test]
async fn problem_json_is_sent_to_those_who_ask_for_it() {
    let (_place, server) = fresh().await;
    let accept = ("accept", "application/problem+json, application/json;q=0.5");
    for (path, status, word) in
        [("/api/v1/nothing", 404, "NOT_FOUND"), ("/api/v1/event-types/x y", 404, "NOT_FOUND")]
    {
        let path = path.replace(' ', "%20");
        let reply = server.get(&path, &[OPERATOR, accept]).await;
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        let body = reply.json();
        assert_eq!((&body["status"], &body["error"]["code"]), (&status.into(), &word.into()), "{body}");
        assert!(body["type"].is_string() && body["title"].is_string() && body["detail"].is_string());
    }
    let anonymous = server.get("/api/v1/event-types", &[accept]).await;
    assert_eq!((anonymous.status, &anonymous.json()["title"]), (401, &"Invalid or missing API key".into()));
    assert_eq!(anonymous.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn a_preflight_on_an_item_path_is_answered_without_a_credential() {
    let (_place, server) = fresh().await;
    let headers = [
        ("origin", "https://example.com"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "x-api-key"),
    ];
    let reply = server
        .client
        .request(Method::OPTIONS, &server.url("/api/v1/events/evt_1/tasks/2"), &headers, "")
        .await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    for word in ["PATCH", "DELETE"] {
        assert!(reply.header("access-control-allow-methods").unwrap().contains(word));
    }
    for word in ["X-API-Key", "Idempotency-Key"] {
        assert!(reply.header("access-control-allow-headers").unwrap().contains(word));
    }
}

#[tokio::test]
async fn other_origins_may_read_answers_and_refusals() {
    let (_place, server) = fresh().await;
    for headers in [&[OPERATOR][..], &[][..]] {
        let reply = server.get("/api/v1/event-types", headers).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        let exposed = reply.header("access-control-expose-headers").unwrap();
        for word in [
            "X-RateLimit-Remaining",
            "X-Request-Id",
            "ETag",
            "Location",
            "Retry-After",
            "Idempotency-Replayed",
        ] {
            assert!(exposed.contains(word), "{exposed}");
        }
    }
}

#[tokio::test]
async fn the_root_of_the_api_says_what_it_is() {
    let (_place, server) = fresh().await;
    let body = server.get("/api/v1", &[]).await.json();
    assert_eq!((&body["success"], &body["data"]["name"]), (&true.into(), &"Open Event".into()));
    assert!(body["data"]["version"].is_string() && body["data"]["links"].is_object());
}

#[tokio::test]
async fn health_tells_when_the_database_is_away() {
    let (_place, app) = alone().await;
    for path in ["/health", "/api/health"] {
        let well = ask(&app, path).await;
        assert_eq!((well.status, &well.json()["data"]["status"]), (200, &"healthy".into()));
        app.store.faults().arm(1);
        let away = ask(&app, path).await;
        assert_eq!((away.status, code(&away).as_str()), (503, "SERVICE_UNAVAILABLE"));
        assert_eq!(away.json()["data"]["checks"]["database"]["status"], "unavailable");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_503_and_says_nothing_of_its_insides() {
    let (_place, app) = alone().await;
    app.store.faults().arm(1);
    let reply = ask(&app, "/api/v1/event-types").await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert!(reply.header("retry-after").is_some() && !reply.text().contains("fault"), "{}", reply.text());
    assert_eq!(ask(&app, "/api/v1/event-types").await.status, 200, "it recovers by itself");
}

async fn fall() {
    panic!("a secret")
}

#[tokio::test]
async fn a_panic_is_500_and_its_words_stay_inside() {
    let (_place, app) = alone().await;
    let router = Router::new()
        .route("/api/v1/fall", get(fall))
        .layer(from_fn_with_state(Arc::clone(&app), gate))
        .with_state(app);
    let request =
        http::Request::get("/api/v1/fall").header(OPERATOR.0, OPERATOR.1).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 500);
    assert!(response.headers().contains_key("x-request-id"));
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("INTERNAL_ERROR") && !text.contains("secret"), "{text}");
}
