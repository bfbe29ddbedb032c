//! The client snippets of the Events API, as what they send and what they read.
//!
//! Invariant: only the base URL and the credential differ from the document.
//! Not here: the snippets in their own languages (the acceptance suite runs those).

use crate::bed::{JSON, OPERATOR, on_both};
use serde_json::{Value, json};

/// What each client puts on the wire for one call.
const BODIES: [&str; 5] = [
    r#"{"name":"user.signup","payload":{"userId":"user_123","email":"user@example.com"}}"#,
    r#"{"name": "order.created", "payload": {"orderId": "order_123", "customerId": "customer_456"}}"#,
    r#"{"name": "system.maintenance"}"#,
    r#"{"name":"user.created","payload":{"email":"user@example.com","userId":"user_123"}}"#,
    r#"{"name":"a.b","payload":{}}"#,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_reads_its_event_id() {
    on_both(async |bed| {
        for body in BODIES {
            let reply = bed.ingest(&[OPERATOR, JSON], body).await;
            let answer = reply.json();
            // JavaScript: `response.ok`, `result.data.event_id`; Python: the same; Go: `Success`, `Data.EventID`.
            assert!((200..300).contains(&reply.status), "{answer}");
            assert_eq!(answer["success"], true);
            assert_eq!(answer["data"]["event_id"], answer["event_id"]);
            assert!(answer["data"]["message"].is_string());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_reads_why_it_was_refused() {
    on_both(async |bed| {
        for (headers, body) in [
            (vec![OPERATOR, JSON], r#"{"payload":{}}"#),
            (vec![("authorization", "Bearer wrong"), JSON], "{}"),
        ] {
            let answer: Value = bed.ingest(&headers, body).await.json();
            assert_eq!(answer["success"], false);
            assert!(answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
        }
        let documented = json!({
            "success": false,
            "error": {
                "code": "validation_error", "message": "Invalid event format",
                "details": {"field": "name", "issue": "field is required"},
            },
        });
        assert_eq!(bed.post("/api/v1/events", &json!({"payload": {}})).await.json(), documented);
    })
    .await;
}
