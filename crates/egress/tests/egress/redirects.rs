//! Redirects that are followed, and what each hop sends.
//!
//! Invariant: the rules are those of the fetch standard.
//! Not here: redirects to where nobody may go (`ssrf.rs`).

use http::Method;
use openevent_egress::{Bytes, Error, Request};
use openevent_testkit::{Answer, Received, Receiver};

use crate::support::{FakeDns, allow, following, get, local, with_dns};

/// Answers `/from` with a redirect to `/to`, and anything else with 200.
async fn hopping(status: u16) -> Receiver {
    let receiver = Receiver::start().await;
    receiver.answer_with(move |request, _| match request.path() {
        "/from" => Answer::redirect(status, "/to?x=1#there"),
        _ => Answer::status(200).body("arrived"),
    });
    receiver
}

fn loaded(method: Method, url: String) -> Request {
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer secret"),
        ("cookie", "a=b"),
        ("x-api-key", "secret"),
        ("x-other", "kept"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Request { method, headers, body: Bytes::from_static(b"{}"), ..following(url) }
}

#[tokio::test]
async fn methods_and_bodies_change_as_the_fetch_standard_says() {
    let cases = [
        (301, Method::POST, Method::GET),
        (302, Method::POST, Method::GET),
        (303, Method::POST, Method::GET),
        (303, Method::PUT, Method::GET),
        (301, Method::PUT, Method::PUT),
        (302, Method::DELETE, Method::DELETE),
        (307, Method::POST, Method::POST),
        (308, Method::PATCH, Method::PATCH),
    ];
    for (status, sent, expected) in cases {
        let receiver = hopping(status).await;

        let answered = local().send(loaded(sent.clone(), receiver.url("/from"))).await.unwrap();

        let last = receiver.requests().pop().unwrap();
        let keeps_body = sent == expected;
        assert_eq!((&last.method, last.target.as_str()), (&expected, "/to?x=1"), "{status} {sent}");
        assert_eq!(last.body.is_empty(), !keeps_body, "{status} {sent}");
        assert_eq!(last.header("content-type").is_some(), keeps_body, "{status} {sent}");
        assert_eq!((answered.status, answered.url), (200, receiver.url("/to?x=1")), "{status} {sent}");
    }
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Receiver::start().await;
    let first = Receiver::start().await;
    let target = other.url("/");
    first.answer_with(move |request, _| match request.path() {
        "/out" => Answer::redirect(307, target.clone()),
        "/same" => Answer::redirect(307, "/end"),
        _ => Answer::status(200),
    });

    local().send(loaded(Method::POST, first.url("/out"))).await.unwrap();
    local().send(loaded(Method::POST, first.url("/same"))).await.unwrap();

    let secrets = |request: &Received| {
        ["authorization", "cookie", "x-api-key"]
            .iter()
            .filter(|name| request.headers.contains_key(**name))
            .count()
    };
    let (stranger, home) = (other.requests().pop().unwrap(), first.requests().pop().unwrap());
    assert_eq!((secrets(&stranger), stranger.header("x-other")), (0, Some("kept")));
    assert_eq!((secrets(&home), home.header("x-other")), (3, Some("kept")));
}

#[tokio::test]
async fn a_redirect_is_the_answer_when_it_is_not_to_be_followed() {
    let receiver = hopping(302).await;

    let answered = local().send(get(receiver.url("/from"))).await.unwrap();

    assert_eq!((answered.status, answered.header("Location")), (302, Some("/to?x=1#there")));
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_redirect_without_a_location_is_the_answer() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::status(302).body("nowhere"));

    let answered = local().send(following(receiver.url("/"))).await.unwrap();

    assert_eq!((answered.status, &answered.body[..]), (302, &b"nowhere"[..]));
}

#[tokio::test]
async fn a_redirect_that_moves_on_for_ever_ends_at_the_limit() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, n| Answer::redirect(302, format!("/{n}")));

    let error = local().send(following(receiver.url("/"))).await.unwrap_err();

    assert!(matches!(error, Error::TooManyRedirects { redirects_max: 10 }), "{error:?}");
    assert_eq!(receiver.count(), 11);
}

#[tokio::test]
async fn each_hop_to_a_new_name_is_looked_up() {
    let end = Receiver::start().await;
    let start = Receiver::start().await;
    let target = format!("http://second.test:{}/", end.address().port());
    start.answer_with(move |_, _| Answer::redirect(302, target.clone()));
    let dns = FakeDns::answering(&[&["127.0.0.1"]]);

    let url = format!("http://first.test:{}/", start.address().port());
    let answered = with_dns(allow("127.0.0.1"), &dns).send(following(url)).await.unwrap();

    assert_eq!((answered.status, dns.asked(), end.count()), (200, 2, 1));
}
