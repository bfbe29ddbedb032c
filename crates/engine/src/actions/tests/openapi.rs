//! Operations of described services, and of this server itself.
//!
//! Invariant: the service is found through its document alone.
//! Not here: every style of a parameter (`parameters`).

use super::{Bed, NOW, kind, tenant};
use crate::actions::{LocalAnswer, LocalApi, LocalRequest};
use openevent_flow::{Authentication, Call, HttpOutput, OpenApiCall, Resource};
use openevent_testkit::{Answer, Receiver};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn call(uri: String, operation_id: &str, parameters: Value) -> OpenApiCall {
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    OpenApiCall {
        document: Resource { uri, authentication: None },
        operation_id: operation_id.into(),
        parameters,
        authentication: None,
        redirect: false,
        output: HttpOutput::Content,
        reference: "/do/0/ask".into(),
    }
}

const PETS: &str = "
openapi: 3.1.0
servers: [{ url: /v1 }]
paths:
  /pets/{petId}:
    put:
      operationId: putPet
      parameters:
      - { name: petId, in: path, required: true }
      - { name: tags, in: query }
      requestBody: { required: true, content: { application/json: {} } }
";

async fn pets() -> (Bed, Receiver) {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    receiver.answer_with(|request, _| match request.path() {
        "/pets.yaml" if request.header("if-none-match") == Some("\"1\"") => Answer::status(304),
        "/pets.yaml" => Answer::status(200).body(PETS).header("etag", "\"1\""),
        _ => Answer::json(&json!({"put": true})),
    });
    (bed, receiver)
}

#[tokio::test]
async fn an_operation_is_called_where_and_how_its_document_says() {
    let (bed, receiver) = pets().await;
    let parameters = json!({"petId": "a/1", "tags": ["x", "y"], "body": {"name": "Rex"}});
    let mut call = call(receiver.url("/pets.yaml"), "putPet", parameters);
    call.authentication = Some(Authentication::Bearer { token: "t".into() });

    let answer = bed.perform(Call::OpenApi(call), None).await.unwrap();

    assert_eq!((&answer["body"], &answer["status"]), (&json!({"put": true}), &json!(200)));
    let seen = &receiver.requests()[1];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/v1/pets/a%2F1?tags=x&tags=y"));
    assert_eq!(seen.json(), json!({"name": "Rex"}));
    for (name, value) in
        [("content-type", "application/json"), ("authorization", "Bearer t"), ("idempotency-key", "run_1/7")]
    {
        assert_eq!(seen.header(name), Some(value));
    }
    assert_eq!(receiver.requests()[0].header("authorization"), None, "the document is somebody else's");
}

#[tokio::test]
async fn a_document_is_kept_for_a_while_and_then_asked_for_politely() {
    let (bed, receiver) = pets().await;
    let ask = async || {
        let call = call(receiver.url("/pets.yaml"), "putPet", json!({"petId": 1, "body": {}}));
        assert_eq!(bed.perform(Call::OpenApi(call), None).await.unwrap()["status"], 200);
        receiver.requests().iter().filter(|request| request.path() == "/pets.yaml").count()
    };

    assert_eq!((ask().await, ask().await), (1, 1));
    bed.clock.0.store(NOW + 5 * 60_000, Ordering::SeqCst);
    assert_eq!((ask().await, ask().await), (2, 2));
}

#[tokio::test]
async fn what_cannot_be_called_is_named() {
    let (bed, receiver) = pets().await;
    let fault = async |path: &str, id: &str, parameters: Value| {
        let call = call(receiver.url(path), id, parameters);
        bed.perform(Call::OpenApi(call), None).await.unwrap_err()
    };

    let no_operation = fault("/pets.yaml", "getPet", json!({})).await;
    let no_parameter = fault("/pets.yaml", "putPet", json!({"body": {}})).await;
    receiver.answer_with(|request, _| {
        if request.path() == "/gone" { Answer::status(404) } else { Answer::status(200).body("a: [") }
    });
    let gone = fault("/gone", "x", json!({})).await;
    let broken = fault("/broken", "x", json!({})).await;

    assert_eq!(
        (kind(&no_operation), no_operation.detail.clone().unwrap().contains("`getPet`")),
        ("configuration", true)
    );
    assert_eq!(
        (kind(&no_parameter), no_parameter.detail.clone().unwrap().contains("`petId`")),
        ("validation", true)
    );
    assert_eq!((kind(&gone), gone.status), ("communication", 404));
    assert_eq!(kind(&broken), "configuration");
}

/// A server that answers what it was asked.
#[derive(Debug, Default)]
struct Echo(Mutex<Vec<LocalRequest>>);

impl LocalApi for Echo {
    fn document(&self) -> Arc<Value> {
        Arc::new(
            json!({"openapi": "3.1.0", "servers": [{"url": "/"}], "paths": {"/api/v1/notes/{id}": {"post": {
            "operationId": "postNote", "parameters": [{"name": "id", "in": "path", "required": true}],
            "requestBody": {"content": {"application/json": {}}}}}}}),
        )
    }

    fn call(
        &self,
        request: LocalRequest,
        _body_bytes_max: usize,
    ) -> Pin<Box<dyn Future<Output = Option<LocalAnswer>> + Send + '_>> {
        self.0.lock().push(request);
        let body = br#"{"success":true}"#.to_vec();
        Box::pin(async {
            Some(LocalAnswer { status: 201, headers: vec![("etag".into(), "\"x\"".into())], body })
        })
    }
}

#[tokio::test]
async fn this_servers_own_operations_are_called_for_the_runs_tenant() {
    let bed = Bed::new().await;
    let own = |parameters| Call::OpenApi(call("openevent:api".into(), "postNote", parameters));
    let echo = Arc::new(Echo::default());

    // What is asked before there is a face waits for it.
    let connecting = async { bed.outside.local.send_replace(Some(Arc::clone(&echo) as Arc<dyn LocalApi>)) };
    let (answer, _) = tokio::join!(bed.perform(own(json!({"id": 1, "text": "hello"})), None), connecting);
    let answer = answer.unwrap();

    assert_eq!((&answer["status"], &answer["body"]), (&json!(201), &json!({"success": true})));
    let asked = echo.0.lock().remove(0);
    assert_eq!(
        (asked.tenant, asked.method.as_str(), asked.target.as_str()),
        (tenant(), "POST", "/api/v1/notes/1")
    );
    assert_eq!(asked.body, br#"{"text":"hello"}"#);
    assert!(asked.headers.contains(&("idempotency-key".into(), "run_1/7".into())));
}
