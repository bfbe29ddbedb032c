//! Exchanges that go well: what is sent, what comes back, which connection is used.
//!
//! Invariant: what the caller did not ask for is not sent, `User-Agent`, `Accept`, `Host` and lengths aside.
//! Not here: redirects and refusals.

use http::Method;
use openevent_egress::{Bytes, Error, OverLimit, Request};
use openevent_testkit::{Answer, BadReceiver, Misbehaviour, Receiver};

use crate::support::{get, local};

fn with_header(name: &str, value: &str, url: String) -> Request {
    Request { headers: vec![(name.to_owned(), value.to_owned())], ..get(url) }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_given_and_the_answer_comes_back_whole() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::status(201).header("x-two", "1").header("x-two", "2").body("made"));
    let request = Request {
        method: Method::POST,
        headers: vec![("X-Sign".into(), "a".into()), ("x-sign".into(), "ü".into())],
        body: Bytes::from_static(b"\x00body"),
        ..get(receiver.url("/p/%C3%BC?q=1&r#fragment"))
    };

    let answered = local().send(request).await.unwrap();

    let seen = receiver.requests().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/p/%C3%BC?q=1&r"));
    assert_eq!(&seen.body[..], b"\x00body");
    assert_eq!(seen.headers.get_all("x-sign").iter().count(), 2);
    assert_eq!(seen.header("content-length"), Some("5"));
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("openevent/")));
    assert!(seen.header("accept-encoding").is_none());
    assert_eq!((answered.status, &answered.body[..], answered.truncated), (201, &b"made"[..], false));
    assert_eq!(answered.headers.iter().filter(|(name, _)| name == "x-two").count(), 2);
    assert_eq!(answered.url, receiver.url("/p/%C3%BC?q=1&r"));
}

#[tokio::test]
async fn headers_that_frame_the_message_or_break_its_lines_are_refused_before_anything_is_sent() {
    let receiver = Receiver::start().await;
    let bad = [
        ("Host", "inner"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("TE", "trailers"),
        ("x y", "1"),
        ("", "1"),
        ("x", "1\r\nx-smuggled: 1"),
        ("x", "\0"),
    ];

    for (name, value) in bad {
        let error = local().send(with_header(name, value, receiver.url("/"))).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidHeader { name: told } if told == name), "{name}: {error:?}");
    }
    let connect = Request { method: Method::CONNECT, ..get(receiver.url("/")) };
    assert!(matches!(local().send(connect).await, Err(Error::InvalidMethod { .. })));

    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_whole_and_one_byte_more_is_not() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::status(200).body("x".repeat(100_000)));
    let capped = |bytes: usize, over: OverLimit| Request {
        response_bytes_max: Some(bytes),
        body_over_limit: over,
        ..get(receiver.url("/"))
    };

    let exact = local().send(capped(100_000, OverLimit::Fail)).await.unwrap();
    let cut = local().send(capped(99_999, OverLimit::Truncate)).await.unwrap();
    let none = local().send(capped(0, OverLimit::Truncate)).await.unwrap();
    let failed = local().send(capped(99_999, OverLimit::Fail)).await.unwrap_err();

    assert_eq!((exact.body.len(), exact.truncated), (100_000, false));
    assert_eq!((cut.body.len(), cut.truncated), (99_999, true));
    assert_eq!((none.body.len(), none.truncated), (0, true));
    assert!(matches!(failed, Error::BodyTooLarge { bytes_max: 99_999 }), "{failed:?}");
}

#[tokio::test]
async fn answers_without_a_body_are_answers() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|request, _| match request.path() {
        "/head" => Answer::status(200).body("not sent"),
        _ => Answer::status(204),
    });

    let head = Request { method: Method::HEAD, ..get(receiver.url("/head")) };
    let head = local().send(head).await.unwrap();
    let empty = local().send(get(receiver.url("/"))).await.unwrap();

    assert_eq!((head.status, head.body.len(), empty.status, empty.body.len()), (200, 0, 204, 0));
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let receiver = Receiver::start().await;
    let client = local();

    for _ in 0..5 {
        client.clone().send(get(receiver.url("/"))).await.unwrap();
    }

    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request.peer == requests[0].peer));
}

#[tokio::test]
async fn an_idle_connection_the_peer_has_closed_costs_nothing_but_a_new_one() {
    let receiver = BadReceiver::start(Misbehaviour::CloseWhenIdle).await;
    let client = local();

    for round in 1..=5 {
        let answered = client.send(get(receiver.url("/"))).await.unwrap();
        assert_eq!(&answered.body[..], b"ok");
        assert_eq!(receiver.connections(), round);
        // Let the runtime see the close, as it would long before the next delivery to this host.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn the_debug_form_of_a_request_keeps_its_secrets() {
    let request = Request {
        body: Bytes::from_static(b"secret-body"),
        ..with_header("authorization", "secret-header", "http://x.test/p?token=secret-query".to_owned())
    };

    let shown = format!("{request:?}");

    assert!(shown.contains("http://x.test/p") && shown.contains("authorization"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}
