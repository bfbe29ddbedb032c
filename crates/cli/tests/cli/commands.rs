//! The commands that ask a server, against a receiver that plays one.
//!
//! Invariant: what is checked is the request that was sent and the words that were printed.
//! Not here: whether a real server answers so (`crates/server` snapshots that).

use crate::support::{Ended, Place};
use openevent_testkit::{Answer, Receiver};
use serde_json::{Value, json};

const DEFINITION: &str = "document:\n  dsl: '1.0.0'\n  namespace: shop\n  name: hello\n  version: '1.0.0'\n\
                          do:\n  - greet:\n      set:\n        text: hello\n";

async fn playing(status: u16, answer: Value) -> Receiver {
    let receiver = Receiver::start().await;
    let body = answer.to_string();
    receiver.answer_with(move |_, _| Answer { status, ..Answer::json(&json!({})).body(body.clone()) });
    receiver
}

fn run(place: &Place, receiver: &Receiver, args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let url = receiver.url("");
    place.run_with(&[args, &["--url", &url]].concat(), variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_posted_with_the_development_token() {
    let runs = json!([{"workflow": "shop/order", "run_id": "run_1"}]);
    let receiver =
        playing(202, json!({"success": true, "event_id": "e-1", "data": {"event_id": "e-1", "runs": runs}}))
            .await;

    let ended = run(
        &Place::new(),
        &receiver,
        &["signals", "send", "order.created", "--payload", r#"{"orderId":"o-1"}"#],
        &[],
    );

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "accepted e-1\nstarted run_1  shop/order\n");
    let sent = &receiver.requests()[0];
    assert_eq!((sent.method.as_str(), sent.target.as_str()), ("POST", "/api/v1/events"));
    assert_eq!(sent.header("authorization"), Some("Bearer dev-token"));
    assert_eq!(sent.json(), json!({"name": "order.created", "payload": {"orderId": "o-1"}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_comes_from_a_file_and_the_token_from_the_environment() {
    let receiver = playing(202, json!({"success": true, "data": {"event_id": "e-1"}})).await;
    let place = Place::new();
    place.write("payload.json", r#"{"a":1}"#);
    let variables = [("OPENEVENT_API_KEY", "oe_live_k"), ("OPENEVENT_API_TOKEN", "operator")];

    let by_token =
        run(&place, &receiver, &["signals", "send", "x", "--payload", "@payload.json", "--json"], &variables);
    run(&place, &receiver, &["signals", "send", "x"], &variables[..1]);
    run(&place, &receiver, &["signals", "send", "x", "--token", "typed"], &variables);

    assert_eq!(by_token.json()["data"]["event_id"], "e-1");
    let requests = receiver.requests();
    let tokens: Vec<_> = requests.iter().filter_map(|sent| sent.header("authorization")).collect();
    assert_eq!(tokens, ["Bearer operator", "Bearer oe_live_k", "Bearer typed"]);
    assert_eq!(requests[0].json()["payload"], json!({"a": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_one_line_with_the_fields() {
    let details = json!({"field": "payload/total", "issue": "must be a number"});
    let refusal = json!({"success": false, "error": {"code": "validation_error", "message": "Invalid event format", "details": details}});
    let receiver = playing(400, refusal).await;

    let ended = run(&Place::new(), &receiver, &["signals", "send", "x"], &[]);

    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        ended.stderr,
        "error: the server answered 400 validation_error: Invalid event format (payload/total: must be a number); hint: correct the request\n"
    );
}

#[test]
fn nobody_listening_is_said_with_what_to_do() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");

    let ended = Place::new().run(&["signals", "send", "x", "--url", &url]);

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("error: cannot reach http://127.0.0.1:"), "{}", ended.stderr);
    assert!(ended.stderr.contains("openevent serve"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_definition_is_put_under_its_name() {
    let receiver = playing(201, json!({"success": true, "data": {}})).await;
    let place = Place::new();
    place.write("hello.yaml", DEFINITION);

    let ended = run(&place, &receiver, &["workflows", "apply", "hello.yaml", "--allow-unsupported"], &[]);

    assert_eq!(ended.stdout, "applied shop/hello 1.0.0\n", "{ended:?}");
    let sent = &receiver.requests()[0];
    assert_eq!(
        (sent.method.as_str(), sent.target.as_str()),
        ("PUT", "/api/v1/workflows/shop/hello?allowUnsupported=true")
    );
    assert_eq!(
        (sent.header("content-type"), &sent.body[..]),
        (Some("application/yaml"), DEFINITION.as_bytes())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_definition_keeps_all_of_them_from_being_put() {
    let receiver = playing(201, json!({"success": true, "data": {}})).await;
    let place = Place::new();
    place.write("good.yaml", DEFINITION);
    place.write("bad.yaml", "do: nothing\n");

    let ended = run(&place, &receiver, &["workflows", "apply", "good.yaml", "bad.yaml"], &[]);

    assert_eq!((ended.code, receiver.count()), (Some(1), 0), "{ended:?}");
    assert!(ended.stdout.contains("bad.yaml:") && !ended.stdout.contains("good.yaml"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_with_the_filters_asked_for() {
    let run_1 = json!({"id": "run_1", "workflow": {"namespace": "shop", "name": "order", "version": "1.0.0"},
        "status": "completed", "startedAt": 0, "endedAt": 12});
    let receiver = playing(200, json!({"success": true, "data": [run_1]})).await;

    let ended = run(
        &Place::new(),
        &receiver,
        &["runs", "list", "--status", "completed", "--workflow", "shop/order"],
        &[],
    );

    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("ID "), "{ended:?}");
    assert_eq!(lines[1], "run_1  1970-01-01T00:00:00.000Z  12 ms  shop/order 1.0.0  completed");
    assert_eq!(receiver.requests()[0].target, "/api/v1/runs?status=completed&workflow=shop%2Forder&limit=20");
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_a_run_ends_when_it_has_ended() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, nth| {
        let (status, ended) = if nth == 0 { ("running", Value::Null) } else { ("completed", json!(9)) };
        Answer::json(&json!({"success": true, "data": {"id": "run_1", "status": status, "startedAt": 0, "endedAt": ended,
            "tasks": [{"name": "call", "reference": "/do/0/call", "status": status, "startedAt": 0, "endedAt": ended}]}}))
    });

    let ended = run(&Place::new(), &receiver, &["runs", "show", "run_1", "--watch"], &[]);

    assert_eq!((ended.code, receiver.count()), (Some(0), 2), "{ended:?}");
    assert!(
        ended.stdout.contains("… call") && ended.stdout.ends_with("└─ ✓ call  9 ms\n"),
        "{}",
        ended.stdout
    );
}
