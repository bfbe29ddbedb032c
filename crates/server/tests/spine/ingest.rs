//! What may be sent to `POST /api/v1/events`, and what is refused in which words.
//!
//! Invariant: a refusal leaves nothing behind.
//! Not here: CloudEvents, batches, schemas.

use crate::bed::{Bed, JSON, OPERATOR, code, on_both, refusal};
use serde_json::{Value, json};

const BYTES_MAX: usize = 1024 * 1024;

fn pair(field: &str, issue: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), issue.to_owned())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_is_acknowledged_as_the_document_says() {
    on_both(async |bed| {
        let reply =
            bed.post("/api/v1/events", &json!({"name": "user.created", "payload": {"userId": "u1"}})).await;

        let body = reply.json();
        let id = body["event_id"].as_str().unwrap();
        assert_eq!(reply.status, 202);
        assert_eq!((id.len(), &id[14..15]), (36, "7"), "a UUIDv7");
        assert_eq!(reply.header("location"), Some(format!("/api/v1/signals/{id}").as_str()));
        let message = "Event received and queued for processing";
        let data = json!({"event_id": id, "id": id, "message": message, "runs": []});
        assert_eq!(body, json!({"success": true, "message": message, "event_id": id, "data": data}));
        assert_eq!(bed.data(&format!("/api/v1/signals/{id}")).await["payload"], json!({"userId": "u1"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_means_a_signal_and_title_an_event_for_both_kinds_of_credential() {
    on_both(async |bed| {
        let key = format!("Bearer {}", bed.key(&["events:write"]).await);
        let key = ("authorization", key.as_str());
        for who in [OPERATOR, key] {
            assert_eq!(bed.ingest(&[who, JSON], r#"{"name":"a.b"}"#).await.status, 202);
            assert_eq!(bed.ingest(&[who, JSON], r#"{"name":"a.b","title":null}"#).await.status, 202);
            let event = bed.ingest(&[who, JSON], r#"{"title":"Meetup"}"#).await;
            assert_eq!((event.status, code(&event).as_str()), (400, "VALIDATION_ERROR"));
            assert!(event.json()["error"]["details"].is_array(), "an event's errors are a list");
        }
        assert_eq!(bed.signals_total().await, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_doubt_a_key_means_an_event_and_the_static_token_a_signal() {
    on_both(async |bed| {
        let key = bed.key(&["events:write"]).await;
        let key = ("x-api-key", key.as_str());
        for body in ["{}", r#"{"payload":{}}"#, r#"{"name":"a","title":"b"}"#, "[]", "7", "\"x\"", "null"] {
            refusal(&bed.ingest(&[OPERATOR, JSON], body).await);
            let event = bed.ingest(&[key, JSON], body).await;
            assert_eq!((event.status, code(&event).as_str()), (400, "VALIDATION_ERROR"), "{body}");
        }
        for body in ["", "{", "{\"name\":\"a\"", "nonsense", "{\"name\":\"a\"}}", "{'name':'a'}"] {
            refusal(&bed.ingest(&[OPERATOR, JSON], body).await);
            let event = bed.ingest(&[key, JSON], body).await;
            assert_eq!((event.status, code(&event).as_str()), (400, "BAD_REQUEST"), "{body}");
        }
        assert_eq!(bed.signals_total().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_follows_the_rules() {
    on_both(async |bed| {
        let longest = "x".repeat(255);
        for good in ["a", "user.created", "A-b_c:d/e.9", "queue.orders", longest.as_str()] {
            assert_eq!(bed.signal(good, json!({})).await["runs"], json!([]), "{good}");
        }
        let too_long = "x".repeat(256);
        let blank = "must not be blank";
        let character = "may contain only letters, digits and . _ - : /";
        for (bad, issue) in [
            (json!(""), blank),
            (json!("   "), blank),
            (json!("\t\n"), blank),
            (json!("a b"), character),
            (json!(" a"), character),
            (json!("a\u{0}b"), character),
            (json!("a*"), character),
            (json!(too_long), "must have at most 255 characters"),
            (json!(7), "must be a string"),
            (json!({}), "must be a string"),
            (json!(true), "must be a string"),
            (Value::Null, "field is required"),
        ] {
            let reply = bed.post("/api/v1/events", &json!({"name": bad})).await;
            assert_eq!(refusal(&reply), pair("name", issue), "{bad}");
        }
        assert_eq!(refusal(&bed.post("/api/v1/events", &json!({})).await), pair("name", "field is required"));
        assert_eq!(bed.signals_total().await, 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generic_name_is_taken_and_flagged() {
    on_both(async |bed| {
        for name in ["event", "trigger", "notification", "update"] {
            let body = bed.post("/api/v1/events", &json!({"name": name})).await.json();
            assert_eq!(body["meta"]["warnings"].as_array().map(Vec::len), Some(1), "{body}");
        }
        let body = bed.post("/api/v1/events", &json!({"name": "order.placed"})).await.json();
        assert_eq!(body.get("meta"), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_is_an_object_or_nothing() {
    on_both(async |bed| {
        for body in [r#"{"name":"a"}"#, r#"{"name":"a","payload":null}"#, r#"{"name":"a","payload":{}}"#] {
            let reply = bed.ingest(&[OPERATOR, JSON], body).await.json();
            let story = bed.data(&format!("/api/v1/signals/{}", reply["event_id"].as_str().unwrap())).await;
            assert_eq!(story["payload"], json!({}), "{body}");
        }
        for bad in [json!([]), json!("x"), json!(1), json!(false)] {
            let reply = bed.post("/api/v1/events", &json!({"name": "a", "payload": bad})).await;
            assert_eq!(refusal(&reply), pair("payload", "must be an object"), "{bad}");
        }
        let both = refusal(&bed.post("/api/v1/events", &json!({"name": "", "payload": []})).await);
        assert_eq!(both, [pair("name", "must not be blank"), pair("payload", "must be an object")].concat());
        assert_eq!(bed.signals_total().await, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_payload_says_comes_back_as_it_was_said() {
    on_both(async |bed| {
        let payload = r#"{"zero":0.1,"big":9007199254740993,"text":"nul \u0000 quote \" ünïcode 😀","list":[1,[2,{"x":null}]],"":"empty key","price":25.00}"#;
        let sent: Value = serde_json::from_str(payload).unwrap();
        let reply = bed.ingest(&[OPERATOR, JSON], &format!(r#"{{"name":"a.b","payload":{payload}}}"#)).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        let id = reply.json()["event_id"].clone();
        let story = bed.data(&format!("/api/v1/signals/{}", id.as_str().unwrap())).await;
        assert_eq!(story["payload"], sent);
    })
    .await;
}

fn of_bytes(bytes: usize) -> String {
    let shell = r#"{"name":"a","payload":{"x":""}}"#.len();
    format!(r#"{{"name":"a","payload":{{"x":"{}"}}}}"#, "x".repeat(bytes - shell))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_exactly_one_mebibyte_is_taken_and_one_byte_more_is_not() {
    on_both(async |bed| {
        assert_eq!(bed.ingest(&[OPERATOR, JSON], &of_bytes(BYTES_MAX)).await.status, 202);
        for bytes in [BYTES_MAX + 1, 3 * BYTES_MAX] {
            let reply = bed.ingest(&[OPERATOR, JSON], &of_bytes(bytes)).await;
            assert_eq!((reply.status, code(&reply).as_str()), (413, "PAYLOAD_TOO_LARGE"));
        }
        assert_eq!(bed.signals_total().await, 1);
    })
    .await;
}

fn of_depth(levels: usize) -> String {
    let inner = levels - 2;
    format!(r#"{{"name":"a","payload":{{"x":{}{}}}}}"#, "[".repeat(inner), "]".repeat(inner))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_levels_are_read_and_sixty_five_are_not() {
    on_both(async |bed| {
        assert_eq!(bed.ingest(&[OPERATOR, JSON], &of_depth(64)).await.status, 202);
        for levels in [65, 100_000] {
            let issues = refusal(&bed.ingest(&[OPERATOR, JSON], &of_depth(levels)).await);
            assert_eq!(issues[0].0, "body");
            assert!(issues[0].1.contains("64"), "{issues:?}");
        }
        assert_eq!(bed.signals_total().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_json_text_are_refused() {
    on_both(async |bed| {
        let bodies: [&[u8]; 4] =
            [b"{\"name\":\"a\xff\"}", b"{\"name\":\"a\0\"}", b"\0\0\0", b"{\"name\":\"\\ud800\"}"];
        for body in bodies {
            let reply = bed.send("POST", "/api/v1/events", &[OPERATOR, JSON], body.to_vec()).await;
            assert_eq!(refusal(&reply)[0].0, "body");
        }
        assert_eq!(bed.signals_total().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_content_type_is_refused() {
    on_both(async |bed| {
        let body = r#"{"name":"a"}"#;
        for kind in ["text/plain", "application/x-www-form-urlencoded", "text/json", "multipart/form-data"] {
            let reply = bed.ingest(&[OPERATOR, ("content-type", kind)], body).await;
            assert_eq!((reply.status, code(&reply).as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"), "{kind}");
        }
        assert_eq!(bed.signals_total().await, 0);
        assert_eq!(bed.ingest(&[OPERATOR], body).await.status, 202, "what does not say what it is is JSON");
        let told = ("content-type", "Application/JSON; charset=UTF-8");
        assert_eq!(bed.ingest(&[OPERATOR, told], body).await.status, 202);
        assert_eq!(bed.signals_total().await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_and_a_key_without_the_scope_are_refused_before_the_body_is_read() {
    on_both(async |bed| {
        let weak = bed.key(&["events:read", "signals:read"]).await;
        let strangers: [Option<(&str, &str)>; 4] = [
            None,
            Some(("authorization", "Bearer wrong")),
            Some(("authorization", "Bearer oe_live_unknown")),
            Some(("authorization", "Basic czNjcmV0")),
        ];
        for stranger in strangers {
            let headers: Vec<_> = stranger.into_iter().chain([JSON]).collect();
            let reply = bed.ingest(&headers, "{").await;
            assert_eq!((reply.status, code(&reply).as_str()), (401, "UNAUTHORIZED"));
        }
        let reply = bed.ingest(&[("x-api-key", &weak), ("content-type", "text/plain")], "{").await;
        assert_eq!((reply.status, code(&reply).as_str()), (403, "FORBIDDEN"));
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains("events:write"));
        assert_eq!(bed.signals_total().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_makes_a_repeated_signal_one() {
    on_both(async |bed: &Bed| {
        let once = [OPERATOR, JSON, ("idempotency-key", "order-1")];
        let first = bed.ingest(&once, r#"{"name":"a.b","payload":{"n":1}}"#).await;
        let again = bed.ingest(&once, r#"{"name":"a.b","payload":{"n":1}}"#).await;
        let other = bed.ingest(&once, r#"{"name":"a.b","payload":{"n":2}}"#).await;

        assert_eq!((first.status, again.status), (202, 202));
        assert_eq!(first.body, again.body);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(first.header("idempotency-replayed"), None);
        assert_eq!((other.status, code(&other).as_str()), (422, "UNPROCESSABLE"));
        // A refusal is not remembered: the sender may mend the body and use the key again.
        let mended = [OPERATOR, JSON, ("idempotency-key", "order-2")];
        assert_eq!(bed.ingest(&mended, "{}").await.status, 400);
        assert_eq!(bed.ingest(&mended, r#"{"name":"a.b"}"#).await.status, 202);
        assert_eq!(bed.signals_total().await, 2);
    })
    .await;
}
