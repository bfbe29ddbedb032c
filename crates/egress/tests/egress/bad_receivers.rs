//! Receivers that hang, lie, flood or speak something else: a clear error, in time, in bounded memory.
//!
//! Invariant: every exchange here ends by itself; the tests add no time limit of their own.
//! Not here: broken TLS (`tls.rs`).

use std::{io::ErrorKind, net::Ipv4Addr, sync::Arc};

use openevent_egress::{Client, Error, Limits, Loopback, OverLimit, Phase, Policy, Request, Setup};
use openevent_testkit::{Answer, BadReceiver, Conduct, Misbehaviour, Receiver};
use tokio::net::TcpListener;

use crate::support::{FakeDns, SHORT, SilentDns, allow, following, get, hasty, local, with_dns};

/// The error of an exchange with a receiver of this kind.
async fn outcome(how: Misbehaviour, request: impl FnOnce(String) -> Request) -> Error {
    let receiver = BadReceiver::start(how).await;
    local().send(request(receiver.url("/"))).await.expect_err("a bad receiver gives no answer")
}

#[tokio::test]
async fn silence_and_dripping_end_at_the_deadline_and_say_how_far_they_came() {
    let cases = [
        (Misbehaviour::Silence, Phase::Response),
        (Misbehaviour::DripHead, Phase::Response),
        (Misbehaviour::InformationalForever, Phase::Response),
        (Misbehaviour::Drip, Phase::Body),
    ];
    for (how, expected) in cases {
        let error = outcome(how, hasty).await;

        assert!(matches!(error, Error::Timeout { phase } if phase == expected), "{how:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_read_a_large_request_ends_at_the_deadline() {
    let error = outcome(Misbehaviour::Silence, |url| Request {
        method: http::Method::POST,
        body: vec![b'.'; 32 * 1024 * 1024].into(),
        ..hasty(url)
    })
    .await;

    assert!(matches!(error, Error::Timeout { phase: Phase::Response }), "{error:?}");
}

#[tokio::test]
async fn a_name_server_that_is_silent_ends_at_the_deadline_or_the_limit_on_connecting() {
    let client = |connect_ms_max| {
        let setup = Setup { resolver: Some(Arc::new(SilentDns)), ..Setup::default() };
        Client::with_setup(allow(""), Limits { connect_ms_max, ..Limits::default() }, setup)
    };

    let by_deadline = client(60_000).send(hasty("http://silent.test/")).await.unwrap_err();
    let by_limit = client(50).send(get("http://silent.test/")).await.unwrap_err();

    for error in [by_deadline, by_limit] {
        assert!(matches!(error, Error::Timeout { phase: Phase::Dns }), "{error:?}");
    }
}

#[tokio::test]
async fn a_name_without_addresses_and_a_port_without_listener_are_told_apart() {
    let unbound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();

    let no_name =
        with_dns(allow(""), &FakeDns::answering(&[])).send(get("http://none.test/")).await.unwrap_err();
    let empty =
        with_dns(allow(""), &FakeDns::answering(&[&[]])).send(get("http://none.test/")).await.unwrap_err();
    let no_listener = local().send(get(format!("http://{unbound}/"))).await.unwrap_err();

    assert!(matches!(no_name, Error::Dns(_)) && matches!(empty, Error::Dns(_)), "{no_name:?} {empty:?}");
    assert!(
        matches!(no_listener, Error::Connect { kind: ErrorKind::ConnectionRefused, .. }),
        "{no_listener:?}"
    );
}

#[tokio::test]
async fn floods_end_at_the_cap_whatever_length_they_announce() {
    for how in [Misbehaviour::Endless, Misbehaviour::HugeLength] {
        let error = outcome(how, get).await;

        assert!(matches!(error, Error::BodyTooLarge { bytes_max: 16_777_216 }), "{how:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_flood_can_be_cut_and_its_beginning_kept() {
    let receiver = BadReceiver::start(Misbehaviour::Endless).await;
    let request = Request {
        response_bytes_max: Some(1024),
        body_over_limit: OverLimit::Truncate,
        ..get(receiver.url("/"))
    };

    let answered = local().send(request).await.unwrap();

    assert_eq!((answered.status, answered.body.len(), answered.truncated), (200, 1024, true));
}

#[tokio::test]
async fn more_bytes_than_announced_are_ignored_and_the_connection_is_not_used_again() {
    let receiver = BadReceiver::start(Misbehaviour::LyingLength).await;
    let client = local();

    for _ in 0..2 {
        let answered = client.send(get(receiver.url("/"))).await.unwrap();
        assert_eq!((answered.body.len(), answered.truncated), (10, false));
    }

    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn heads_over_the_limits_and_other_protocols_are_not_http() {
    for how in [Misbehaviour::EndlessHead, Misbehaviour::NotHttp, Misbehaviour::Http2Frames] {
        let error = outcome(how, get).await;

        assert!(matches!(error, Error::Protocol(_)), "{how:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_early_end_is_told_from_nonsense() {
    for how in [Misbehaviour::CloseAtOnce, Misbehaviour::CloseMidChunk] {
        let error = outcome(how, get).await;

        assert!(matches!(error, Error::Closed(_)), "{how:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_body_that_stops_halfway_is_not_an_answer() {
    let receiver = Receiver::start().await;
    let body = "x".repeat(4096);
    receiver.answer_with(move |request, _| {
        let conduct = if request.path() == "/close" { Conduct::CloseMidBody } else { Conduct::HangMidBody };
        Answer::status(200).body(body.clone()).conduct(conduct)
    });

    let closed = local().send(get(receiver.url("/close"))).await.unwrap_err();
    let hung = local().send(hasty(receiver.url("/hang"))).await.unwrap_err();

    assert!(matches!(closed, Error::Closed(_)), "{closed:?}");
    assert!(matches!(hung, Error::Timeout { phase: Phase::Body }), "{hung:?}");
}

#[tokio::test]
async fn a_redirect_in_circles_ends_at_the_limit() {
    let error = outcome(Misbehaviour::RedirectCircle, following).await;

    assert!(matches!(error, Error::TooManyRedirects { .. }), "{error:?}");
}

#[tokio::test]
async fn the_deadline_covers_all_hops_together() {
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, n| Answer::redirect(302, format!("/{n}")).conduct(Conduct::After(SHORT / 2)));
    let limits = Limits { redirects_max: 1000, ..Limits::default() };
    let client = Client::new(Policy::new(Vec::new(), Loopback::Allowed), limits);

    let error = client.send(Request { deadline: SHORT, ..following(receiver.url("/")) }).await.unwrap_err();

    assert!(matches!(error, Error::Timeout { phase: Phase::Response }), "{error:?}");
}

#[tokio::test]
async fn an_exchange_that_fails_leaves_the_client_usable() {
    let bad = BadReceiver::start(Misbehaviour::InformationalForever).await;
    let good = Receiver::start().await;
    let client = local();

    client.send(hasty(bad.url("/"))).await.unwrap_err();
    let answered = client.send(get(good.url("/"))).await.unwrap();

    assert_eq!(answered.status, 200);
}

#[tokio::test]
async fn a_connection_given_up_on_is_closed_whatever_still_comes_in() {
    let endless = [
        Misbehaviour::Drip,
        Misbehaviour::DripHead,
        Misbehaviour::InformationalForever,
        Misbehaviour::Endless,
        Misbehaviour::HugeLength,
        Misbehaviour::EndlessHead,
    ];
    for how in endless {
        let receiver = BadReceiver::start(how).await;

        local().send(hasty(receiver.url("/"))).await.unwrap_err();

        receiver.wait_until_left().await;
    }
}

#[tokio::test]
async fn a_connection_whose_answer_was_cut_is_closed() {
    let receiver = BadReceiver::start(Misbehaviour::Endless).await;
    let request = Request { body_over_limit: OverLimit::Truncate, ..get(receiver.url("/")) };

    local().send(request).await.unwrap();

    receiver.wait_until_left().await;
}
