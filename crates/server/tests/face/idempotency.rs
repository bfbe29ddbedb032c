//! `Idempotency-Key`, on an endpoint of the tests' own.

use crate::support::{OPERATOR, Place, START, alone, settings};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use http::Request;
use openevent_server::App;
use openevent_server::face::body::Json;
use openevent_server::face::caller::Anyone;
use openevent_server::face::gate::gate;
use openevent_server::face::idempotency::Once;
use openevent_server::face::problem::Problem;
use openevent_server::face::reply::Reply;
use openevent_store::WriteSet;
use openevent_store::event_types::EventType;
use openevent_testkit::Reply as Answer;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

/// Makes a note; the effect is a row, so that a second effect is seen.
async fn make(
    caller: Anyone,
    State(app): State<Arc<App>>,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    let name = body["name"].as_str().ok_or_else(|| Problem::field("name", "field is required"))?;
    let count = app.store.event_types(&caller.tenant, 1000).await?.len();
    let note = EventType {
        name: format!("{name}-{count}"),
        description: None,
        schema: None,
        example: None,
        created_at: START,
        updated_at: START,
    };
    let mut set = WriteSet::new();
    set.put_event_type(&caller.tenant, &note);
    let data = json!({"id": note.name, "key": "a secret"});
    let reply = Reply::created("/api/v1/notes/1", &data).with_secret("key").tagged();
    guard.commit(&app.store, set, reply).await
}

fn notes(app: &Arc<App>) -> Router {
    Router::new()
        .route("/api/v1/notes", post(make))
        .layer(from_fn_with_state(Arc::clone(app), gate))
        .with_state(Arc::clone(app))
}

async fn send(app: &Arc<App>, key: &str, body: &Value) -> Answer {
    let request = Request::post("/api/v1/notes")
        .header(OPERATOR.0, OPERATOR.1)
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .expect("a request");
    let (parts, body) = notes(app).oneshot(request).await.expect("an answer").into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn effects(app: &App) -> usize {
    app.store.event_types(&app.keyring.operator().tenant, 1000).await.expect("the rows").len()
}

#[tokio::test]
async fn the_same_request_again_has_the_first_answer_without_the_secret() {
    let (_place, app) = alone().await;
    let first = send(&app, "k1", &json!({"name": "a"})).await;
    let again = send(&app, "k1", &json!({"name": "a"})).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    for header in ["location", "etag"] {
        assert_eq!(first.header(header), again.header(header));
    }
    assert_eq!(first.json()["data"], json!({"id": "a-0", "key": "a secret"}));
    assert_eq!(
        again.json(),
        json!({"success": true, "data": {"id": "a-0"}, "meta": {"secretWithheld": true}})
    );
    assert_eq!(effects(&app).await, 1);
}

#[tokio::test]
async fn another_body_under_the_same_key_is_422() {
    let (_place, app) = alone().await;
    send(&app, "k1", &json!({"name": "a"})).await;
    let other = send(&app, "k1", &json!({"name": "b"})).await;
    assert_eq!((other.status, &other.json()["error"]["code"]), (422, &"UNPROCESSABLE".into()));
    assert_eq!(send(&app, "k2", &json!({"name": "b"})).await.status, 201);
}

#[tokio::test]
async fn of_equal_requests_at_once_one_has_an_effect() {
    let (_place, app) = alone().await;
    let body = json!({"name": "a"});
    let answers = futures::future::join_all((0..20).map(|_| send(&app, "k1", &body))).await;
    assert_eq!(effects(&app).await, 1);
    for answer in answers {
        assert!(matches!(answer.status, 201 | 409), "{}", answer.text());
    }
}

#[tokio::test]
async fn of_equal_requests_in_two_processes_one_has_an_effect_and_both_its_answer() {
    let place = Place::new();
    let (here, there) = (place.app(settings()).await, place.app(settings()).await);
    let body = json!({"name": "a"});
    for round in 0..20 {
        let key = format!("k{round}");
        let (one, two) = tokio::join!(send(&here, &key, &body), send(&there, &key, &body));
        assert_eq!((one.status, two.status), (201, 201));
        assert_eq!(one.json()["data"]["id"], two.json()["data"]["id"]);
        assert_eq!(effects(&here).await, round + 1);
    }
}

#[tokio::test]
async fn a_request_that_was_refused_may_be_repeated() {
    let (_place, app) = alone().await;
    assert_eq!(send(&app, "k1", &json!({"no": 1})).await.status, 400);
    assert_eq!(send(&app, "k1", &json!({"name": "a"})).await.status, 201);
}

#[tokio::test]
async fn when_the_database_fails_neither_effect_nor_answer_is_there() {
    let (_place, app) = alone().await;
    let body = json!({"name": "a"});
    for call in 1.. {
        app.store.faults().arm(call);
        let answer = send(&app, "k1", &body).await;
        if app.store.faults().is_armed() {
            assert_eq!(answer.status, 201);
            break;
        }
        assert_eq!(answer.status, 503, "call {call}");
        assert_eq!(effects(&app).await, 0);
    }
    app.store.faults().arm(0);
    assert_eq!(effects(&app).await, 1);
}

#[tokio::test]
async fn an_answer_is_kept_for_three_days() {
    let place = Place::new();
    let app = place.app(settings()).await;
    send(&app, "k1", &json!({"name": "a"})).await;
    place.clock.advance(72 * 3_600_000);
    assert!(send(&app, "k1", &json!({"name": "a"})).await.header("idempotency-replayed").is_some());
    place.clock.advance(1);
    assert!(send(&app, "k1", &json!({"name": "a"})).await.header("idempotency-replayed").is_none());
    assert_eq!(effects(&app).await, 2);
}

#[tokio::test]
async fn a_key_must_be_short_and_visible() {
    let (_place, app) = alone().await;
    for key in ["", " ", &"x".repeat(256)] {
        let answer = send(&app, key, &json!({"name": "a"})).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &"VALIDATION_ERROR".into()),
            "{key}"
        );
    }
}
