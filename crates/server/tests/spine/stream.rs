//! The live stream: server-sent events that resume.
//!
//! Invariant: over any number of reconnects, every signal once and in order.
//! Not here: reading the log.

use crate::bed::{Bed, OPERATOR, code, on_both};
use openevent_domain::tenant::Environment;
use openevent_testkit::Stream;
use serde_json::{Value, json};

/// The next signal: its id line and its data; comments are passed over.
async fn next(stream: &mut Stream) -> (String, Value) {
    loop {
        let block = stream.next_until("\n\n").await.expect("the stream goes on");
        let line = |prefix: &str| block.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
        if let (Some(id), Some(data)) = (line("id: "), line("data: ")) {
            assert_eq!(line("event: ").as_deref(), Some("signal"), "{block}");
            return (id, serde_json::from_str(&data).expect("JSON"));
        }
    }
}

async fn open(bed: &Bed, path: &str, headers: &[(&str, &str)]) -> Stream {
    let mut stream = bed.client.stream(&bed.url(path), headers).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let opened = stream.next_until("\n\n").await.expect("a beginning");
    assert!(opened.starts_with(':'), "{opened}");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_now_and_resumes_without_loss_or_repetition() {
    on_both(async |bed| {
        bed.signal("before", json!({})).await;
        let mut stream = open(bed, "/api/v1/stream", &[OPERATOR]).await;
        let sent = bed.signal("n.0", json!({"n": 0})).await;
        let (mut last, data) = next(&mut stream).await;
        assert_eq!((&json!(last), &data["event_id"]), (&sent["event_id"], &sent["event_id"]));
        assert_eq!((&data["name"], &data["payload"]), (&json!("n.0"), &json!({"n": 0})));
        drop(stream);

        let events: Vec<_> = (1..=250).map(|n| json!({"name": format!("n.{n}")})).collect();
        bed.post("/api/v1/events/batch", &json!({"events": events})).await;
        let mut seen = Vec::new();
        // Reconnects after every hundred, once by header and once by parameter.
        for by_header in [true, false, true] {
            let path = format!("/api/v1/stream?lastEventId={last}");
            let mut stream = if by_header {
                open(bed, "/api/v1/stream", &[OPERATOR, ("last-event-id", &last)]).await
            } else {
                open(bed, &path, &[OPERATOR]).await
            };
            for _ in 0..100.min(250 - seen.len()) {
                let (id, data) = next(&mut stream).await;
                seen.push(data["name"].as_str().unwrap().to_owned());
                last = id;
            }
        }
        assert_eq!(seen, (1..=250).map(|n| format!("n.{n}")).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_can_be_cut_down_to_names() {
    on_both(async |bed| {
        let mut orders = open(bed, "/api/v1/stream?name=order.*", &[OPERATOR]).await;
        let mut one = open(bed, "/api/v1/stream?name=orders", &[OPERATOR]).await;
        for name in ["orders", "order.created", "other", "order.deleted"] {
            bed.signal(name, json!({})).await;
        }
        assert_eq!(next(&mut orders).await.1["name"], "order.created");
        assert_eq!(next(&mut orders).await.1["name"], "order.deleted");
        assert_eq!(next(&mut one).await.1["name"], "orders");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_shows_nothing_of_other_tenants() {
    on_both(async |bed| {
        let mine = bed.app.keyring.operator().project_id.clone();
        let key = bed.key_of(&mine, Environment::Test, &["signals:read", "events:write"]).await;
        let key = ("x-api-key", key.as_str());
        let foreign = bed.signal("live.before", json!({})).await;
        let mut stream = open(bed, "/api/v1/stream", &[key]).await;
        let foreign_id = foreign["event_id"].as_str().unwrap();
        let mut resumed = open(bed, "/api/v1/stream", &[key, ("last-event-id", foreign_id)]).await;
        bed.signal("live.after", json!({})).await;
        bed.ingest(&[key, crate::bed::JSON], r#"{"name":"test.own"}"#).await;

        assert_eq!(next(&mut stream).await.1["name"], "test.own");
        assert_eq!(next(&mut resumed).await.1["name"], "test.own");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_event_id_that_is_none_is_refused() {
    on_both(async |bed| {
        let reply = bed.send("GET", "/api/v1/stream", &[OPERATOR, ("last-event-id", "nonsense")], "").await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"));
    })
    .await;
}
