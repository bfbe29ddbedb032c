//! The recording receiver and the client that talks to it.

use http::Method;
use openevent_testkit::{Answer, Conduct, HttpClient, Receiver};
use serde_json::json;

#[tokio::test]
async fn requests_are_recorded_whole_and_in_order() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|request, n| Answer::json(&json!({"n": n, "path": request.path()})));
    let client = HttpClient::new();

    let first = client.post_json(&receiver.url("/a?b=c"), &[("x-one", "1")], &json!({"k": 1})).await;
    let second = client.request(Method::DELETE, &receiver.url("/d"), &[], "").await;

    let seen = receiver.wait_for(2).await;
    assert_eq!((first.status, first.json()), (200, json!({"n": 0, "path": "/a"})));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(second.json(), json!({"n": 1, "path": "/d"}));
    assert_eq!((seen[0].target.as_str(), seen[0].header("x-one")), ("/a?b=c", Some("1")));
    assert_eq!((seen[0].json(), seen[1].method.clone()), (json!({"k": 1}), Method::DELETE));
    assert_eq!(seen[0].peer, seen[1].peer);
}

#[tokio::test]
async fn waiting_ends_when_the_last_request_arrives() {
    let receiver = Receiver::start().await;
    let client = HttpClient::new();
    let url = receiver.url("/");

    let (seen, ..) =
        tokio::join!(receiver.wait_for(3), client.get(&url, &[]), client.get(&url, &[]), async {
            client.get(&url, &[]).await
        });

    assert_eq!(seen.iter().map(|request| request.order).collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test]
async fn an_answer_cut_off_is_a_failure_for_the_client() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::status(200).body("half and half").conduct(Conduct::CloseMidBody));

    let outcome = HttpClient::new().try_request(Method::GET, &receiver.url("/"), &[], "").await;

    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test]
async fn a_stream_is_read_piece_by_piece() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::status(200).body("id: 1\ndata: a\n\nid: 2\n\nrest"));

    let mut stream = HttpClient::new().stream(&receiver.url("/"), &[("accept", "text/event-stream")]).await;

    assert_eq!(stream.status, 200);
    assert_eq!(stream.next_until("\n\n").await.as_deref(), Some("id: 1\ndata: a"));
    assert_eq!(stream.next_until("\n\n").await.as_deref(), Some("id: 2"));
    assert_eq!(stream.next_until("\n\n").await, None);
}
