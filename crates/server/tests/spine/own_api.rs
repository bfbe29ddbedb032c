//! Workflows that call this server's own operations.
//!
//! Invariant: they see their own tenant's data, no socket is opened, and no rate limit is touched.
//! Not here: how parameters are written (`openevent-engine`).

use crate::bed::{Bed, on_both, workflow};
use serde_json::{Value, json};

fn calling(operation: &str, parameters: &Value) -> String {
    let call = json!({"document": {"endpoint": "openevent:api"}, "operationId": operation, "parameters": parameters, "output": "response"});
    format!("do:\n- ask: {{ call: openapi, with: {call} }}\n")
}

async fn run(bed: &Bed, name: &str, rest: &str) -> Value {
    let reply = bed.put(name, &workflow(name, "", rest)).await;
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
    let run = bed.post(&format!("/api/v1/workflows/shop/{name}/runs?wait=30s"), &json!({})).await;
    run.json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_sends_signals_and_starts_runs_once_each() {
    on_both(async |bed| {
        bed.load("greet", "{ type: guest.came }", "do:\n- note: { set: { greeted: true } }\n").await;

        let told =
            run(bed, "tell", &calling("createEvent", &json!({"name": "guest.came", "payload": {"n": 1}})))
                .await;
        let started = run(
            bed,
            "start",
            &calling("createWorkflowRun", &json!({"namespace": "shop", "name": "greet", "wait": "20s"})),
        )
        .await;

        assert_eq!(
            (&told["status"], &told["output"]["statusCode"]),
            (&json!("completed"), &json!(202)),
            "{told}"
        );
        let runs = &told["output"]["content"]["data"]["runs"];
        bed.ended(&runs[0]["run_id"]).await;
        assert_eq!(started["output"]["content"]["data"]["output"], json!({"greeted": true}), "{started}");
        assert_eq!(bed.signals_total().await, 1);
        let limited = told["output"]["headers"].get("x-ratelimit-limit");
        assert_eq!(limited, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_the_tasks_error() {
    on_both(async |bed| {
        let missing = run(bed, "missing", &calling("getRun", &json!({"id": "run_x"}))).await;
        let unknown = run(bed, "unknown", &calling("getNothing", &json!({}))).await;
        let without = run(bed, "without", &calling("getRun", &json!({}))).await;

        let told = |run: &Value| {
            (
                run["error"]["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned(),
                run["error"]["status"].clone(),
            )
        };
        assert_eq!(told(&missing), ("communication".into(), json!(404)));
        assert_eq!(told(&unknown), ("configuration".into(), json!(400)));
        assert_eq!(told(&without), ("validation".into(), json!(400)));
    })
    .await;
}

/// A value for every parameter that has to be there, and a body where there is one.
fn parameters(operation: &Value) -> Value {
    let required = operation["parameters"].as_array().into_iter().flatten();
    let required = required.filter(|one| one["required"] == true || one["in"] == "path");
    let mut given: serde_json::Map<String, Value> =
        required.map(|one| (one["name"].as_str().unwrap_or_default().to_owned(), json!("x"))).collect();
    if operation["requestBody"].is_object() {
        given.insert("body".into(), json!({"value": "x"}));
    }
    given.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_document_is_reached() {
    let bed = Bed::sqlite().await;
    let document = bed.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let mut reached = 0;
    for (path, item) in paths {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            let ended = run(&bed, "each", &calling(id, &parameters(operation))).await;
            let error = &ended["error"];
            let status = error["status"].as_u64().unwrap_or(200);
            let is_ours = error["type"].as_str().is_none_or(|kind| kind.ends_with("/communication"));
            // An answer without an end is no value.
            let is_stream = path.ends_with("/stream");
            if operation["security"][0]["apiKey"][0] == "*" {
                assert!(is_ours && status == 403, "{id} is an admin's: {ended}");
            } else {
                let is_reached = is_stream || !matches!(status, 401 | 403 | 405 | 429 | 500..);
                assert!(is_ours && is_reached, "{id}: {ended}");
            }
            reached += 1;
        }
    }
    assert!(reached > 20, "{reached}");
    bed.end().await;
}
