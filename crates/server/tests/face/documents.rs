//! What the server says about itself: the OpenAPI document and the metrics.

use crate::support::{OPERATOR, alone, fresh};
use axum::body::Body;
use http::Request;
use openevent_server::{App, router};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use tower::ServiceExt;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

struct Operation {
    method: String,
    path: String,
    /// `None`: public.
    scopes: Option<Vec<String>>,
    body: Value,
}

async fn document(app: &Arc<App>) -> Value {
    let request = Request::get("/openapi.json").body(Body::empty()).expect("a request");
    let response = router(Arc::clone(app)).oneshot(request).await.expect("an answer");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            let Some(body) = item.get(method) else { continue };
            let scopes = body["security"][0]["apiKey"].as_array();
            let scopes =
                scopes.map(|all| all.iter().map(|one| one.as_str().expect("a word").to_owned()).collect());
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                scopes,
                body: body.clone(),
            });
        }
    }
    operations
}

/// Asks one operation; answers status and, for refusals, the body. An answer without an end is not read.
async fn ask(app: &Arc<App>, operation: &Operation, credential: Option<&str>) -> (u16, String) {
    let filled = operation.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    let path = filled.collect::<Vec<_>>().join("/");
    let mut request = Request::builder().method(operation.method.as_str()).uri(path);
    if let Some(credential) = credential {
        request = request.header("authorization", credential);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = router(Arc::clone(app)).oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    if status < 400 {
        return (status, String::new());
    }
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn the_document_is_as_reviewed() {
    let (_place, app) = alone().await;
    insta::assert_json_snapshot!("openapi", document(&app).await);
}

#[tokio::test]
async fn every_documented_operation_is_there() {
    let (_place, app) = alone().await;
    for operation in operations(&document(&app).await) {
        let (status, body) = ask(&app, &operation, Some(OPERATOR.1)).await;
        let name = format!("{} {}", operation.method, operation.path);
        assert!(status != 405 && !body.contains("There is nothing at this path"), "{name}: {status} {body}");
        assert!(status < 500, "{name}: {status} {body}");
    }
}

#[tokio::test]
async fn every_documented_scope_is_the_one_that_is_asked_for() {
    let (_place, server) = fresh().await;
    let (key, _) = server.key(&[], Some(10_000)).await;
    let bearer = format!("Bearer {key}");
    for operation in operations(&document(&server.app).await) {
        let name = format!("{} {}", operation.method, operation.path);
        let (anonymous, _) = ask(&server.app, &operation, None).await;
        let Some(scopes) = &operation.scopes else {
            assert_ne!(anonymous, 401, "{name} is documented as public");
            continue;
        };
        assert_eq!(anonymous, 401, "{name} is documented as protected");
        let (status, body) = ask(&server.app, &operation, Some(&bearer)).await;
        match scopes.first() {
            Some(scope) => {
                let names_it = body.contains(&format!("\"{scope}\""));
                assert!(status == 403 && names_it, "{name}: {status} {body}");
            }
            None => assert_ne!(status, 403, "{name} needs no scope"),
        }
    }
}

#[tokio::test]
async fn the_document_is_whole() {
    let (_place, app) = alone().await;
    let document = document(&app).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = HashSet::new();
    for operation in operations(&document) {
        let name = format!("{} {}", operation.method, operation.path);
        assert!(ids.insert(operation.body["operationId"].as_str().unwrap_or_default().to_owned()), "{name}");
        assert!(operation.body["summary"].is_string() && operation.body["tags"].is_array(), "{name}");
        assert!(!operation.path.contains('*'), "{name}");
        let responses = operation.body["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        assert!(responses.contains_key("429") && responses.contains_key("500"), "{name}");
    }
    let mut broken = Vec::new();
    check_references(&document, &document, &mut broken);
    assert_eq!(broken, Vec::<String>::new());
}

fn check_references(document: &Value, value: &Value, broken: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get("$ref")
                && document.pointer(target.trim_start_matches('#')).is_none()
            {
                broken.push(target.clone());
            }
            object.values().for_each(|member| check_references(document, member, broken));
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(document, item, broken)),
        _ => {}
    }
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_status() {
    let (_place, server) = fresh().await;
    server.get("/api/v1/event-types/a.b", &[OPERATOR]).await;
    server.get("/api/v1/a-secret-path", &[OPERATOR]).await;
    let text = server.get("/metrics", &[]).await.text();
    let counted = |parts: &[&str]| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(
        counted(&[
            "openevent_http_requests_total",
            "/api/v1/event-types/{*name}",
            "method=\"GET\"",
            "status=\"404\""
        ]),
        "{text}"
    );
    assert!(counted(&[
        "openevent_http_request_duration_seconds_bucket",
        "route=\"/api/v1/event-types/{*name}\""
    ]));
    assert!(!text.contains("a-secret-path") && !text.contains("a.b"));
}

#[tokio::test]
async fn an_acknowledged_benchmark_body_is_not_stored() {
    let (_place, server) = fresh().await;
    assert_eq!(server.send("POST", "/bench/ack", &[], "{}").await.status, 401);
    let reply = server.send("POST", "/bench/ack", &[OPERATOR], "{\"name\":\"a\"}").await;
    assert_eq!((reply.status, &reply.json()["bytes"]), (202, &12.into()));
    let place = crate::support::Place::new();
    let quiet = openevent_server::Settings { bench: false, ..crate::support::settings() };
    let server = place.serve(quiet).await;
    assert_eq!(server.send("POST", "/bench/ack", &[OPERATOR], "{}").await.status, 404);
}
