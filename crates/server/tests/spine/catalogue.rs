//! Schemas refuse a signal before it is accepted: the catalogue's, and those of the workflows it would start.
//!
//! Invariant: one refusal, and nothing is stored, no run is started.
//! Not here: the catalogue itself (`tests/face`).

use crate::bed::{JSON, OPERATOR, on_both, refusal, workflow};
use serde_json::{Value, json};

const INPUT: &str = "input: { schema: { document: { type: object, required: [orderId], properties: { orderId: { type: string }, total: { type: number, minimum: 0 } } } } }\n";
const NOTE: &str = "do:\n- note:\n    set: { noted: true }\n";

fn fields(issues: &[(String, String)]) -> Vec<&str> {
    issues.iter().map(|(field, _)| field.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalogued_schema_refuses_at_once_and_until_it_is_removed() {
    on_both(async |bed| {
        let schema: Value = json!({"type": "object", "required": ["orderId"], "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}}}});
        let path = "/api/v1/event-types/order.created";
        let put = bed.send("PUT", path, &[OPERATOR, JSON], json!({"schema": schema}).to_string()).await;
        assert_eq!(put.status, 201, "{}", put.text());

        let bad = bed.post("/api/v1/events", &json!({"name": "order.created", "payload": {"items": [{"price": "x"}]}})).await;
        let issues = refusal(&bad);
        assert_eq!(issues.len(), 2, "{issues:?}");
        assert!(fields(&issues).contains(&"payload.items.0.price"), "{issues:?}");
        refusal(&bed.post("/api/v1/events", &json!({"name": "order.created"})).await);
        let batch = bed.post("/api/v1/events/batch", &json!({"events": [{"name": "order.created"}, {"name": "other"}]})).await;
        assert_eq!(batch.json()["data"]["accepted"], 1);
        assert_eq!(bed.signals_total().await, 1);

        bed.signal("order.created", json!({"orderId": "1"})).await;
        assert_eq!(bed.send("DELETE", path, &[OPERATOR], "").await.status, 200);
        bed.signal("order.created", json!({})).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_input_schema_of_any_workflow_it_would_start_refuses_a_signal() {
    on_both(async |bed| {
        bed.load("lax", "{ type: order.created }", NOTE).await;
        bed.load("strict", "{ type: order.created }", &format!("{INPUT}{NOTE}")).await;

        let bad =
            bed.post("/api/v1/events", &json!({"name": "order.created", "payload": {"total": -1}})).await;
        let issues = refusal(&bad);
        assert!(issues.iter().all(|(field, _)| field.starts_with("payload")), "{issues:?}");
        assert!(fields(&issues).contains(&"payload.total"), "{issues:?}");
        assert_eq!(bed.signals_total().await, 0);
        assert_eq!(bed.data("/api/v1/runs").await, json!([]));

        let good = bed.signal("order.created", json!({"orderId": "1"})).await;
        assert_eq!(good["runs"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_whose_filter_does_not_match_refuses_nothing() {
    on_both(async |bed| {
        let filter = "{ type: order.created, data: '${ .total > 100 }' }";
        bed.put("strict", &workflow("strict", filter, &format!("{INPUT}{NOTE}"))).await;

        let small = bed.signal("order.created", json!({"total": 1})).await;
        assert_eq!(small["runs"], json!([]));
        refusal(
            &bed.post("/api/v1/events", &json!({"name": "order.created", "payload": {"total": 101}})).await,
        );
        assert_eq!(bed.signals_total().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_by_hand_is_refused_by_the_same_schema() {
    on_both(async |bed| {
        bed.load("strict", "{ type: order.created }", &format!("{INPUT}{NOTE}")).await;
        let reply = bed.post("/api/v1/workflows/shop/strict/runs", &json!({"input": {"orderId": 7}})).await;

        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.json()["error"]["code"], "VALIDATION_ERROR");
        assert_eq!(reply.json()["error"]["details"][0]["field"], "input.orderId");
        assert_eq!(bed.data("/api/v1/runs").await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_put_at_the_same_time_leave_the_one_that_is_stored_in_force() {
    on_both(async |bed| {
        let path = "/api/v1/event-types/order.created";
        for _ in 0..5 {
            let put = async |n: usize| {
                let schema = json!({"schema": {"type": "object", "required": [format!("f{n}")]}}).to_string();
                let reply = bed.send("PUT", path, &[OPERATOR, JSON], schema).await;
                assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
                bed.app.schemas.refresh(&bed.app.store).await.expect("a refresh");
            };
            futures::future::join_all((0..8).map(put)).await;

            let stored = bed.data(path).await["schema"]["required"][0].as_str().unwrap().to_owned();
            bed.signal("order.created", json!({stored.clone(): 1})).await;
            let issues = refusal(&bed.post("/api/v1/events", &json!({"name": "order.created"})).await);
            assert_eq!(fields(&issues), [format!("payload.{stored}")]);
        }
    })
    .await;
}
