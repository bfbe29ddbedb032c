//! TLS: who is trusted, and what broken handshakes look like.
//!
//! Invariant: certificates are made for each test; the system's roots never make one pass.
//! Not here: plain HTTP.

use std::{net::Ipv4Addr, sync::Arc};

use openevent_egress::{Client, Error, InvalidRoots, Limits, Phase, Setup, TlsFault, parse_roots};
use openevent_testkit::{Answer, BadReceiver, Misbehaviour, Receiver};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use crate::support::{FakeDns, allow, get, hasty};

/// A client that trusts this PEM beside the system, and finds every name on loopback.
fn client(pem: &str) -> Client {
    let dns = FakeDns::answering(&[&["127.0.0.1"]]);
    let extra_roots = parse_roots(pem.as_bytes()).expect("certificates");
    let setup = Setup { resolver: Some(Arc::new(dns)), extra_roots, ..Setup::default() };
    Client::with_setup(allow("127.0.0.1"), Limits::default(), setup)
}

fn url(name: &str, receiver: &Receiver) -> String {
    format!("https://{name}:{}/", receiver.address().port())
}

/// Some certificate, for tests in which none is looked at.
async fn any_root() -> String {
    Receiver::start_tls("x.test").await.certificate().to_owned()
}

#[tokio::test]
async fn certificates_under_the_roots_of_the_operator_are_trusted() {
    let (one, two) = (Receiver::start_tls("one.test").await, Receiver::start_tls("two.test").await);
    one.answer_with(|_, _| Answer::status(200).body("secret"));
    let both = format!("# ours\n{}\n# theirs\n{}", one.certificate(), two.certificate());
    let client = client(&both);

    let first = client.send(get(url("one.test", &one))).await.unwrap();
    let second = client.send(get(url("two.test", &two))).await.unwrap();

    assert_eq!((first.status, &first.body[..], second.status), (200, &b"secret"[..], 200));
}

#[tokio::test]
async fn an_unknown_certificate_and_another_name_are_not_trusted() {
    let receiver = Receiver::start_tls("hooks.test").await;
    let unknown = Receiver::start_tls("unknown.test").await;
    let client = client(receiver.certificate());

    let wrong_name = client.send(get(url("other.test", &receiver))).await.unwrap_err();
    let wrong_root = client.send(get(url("unknown.test", &unknown))).await.unwrap_err();

    assert!(matches!(wrong_name, Error::Tls { fault: TlsFault::WrongName, .. }), "{wrong_name:?}");
    assert!(matches!(wrong_root, Error::Tls { fault: TlsFault::Untrusted, .. }), "{wrong_root:?}");
    assert_eq!((receiver.count(), unknown.count()), (0, 0));
}

#[tokio::test]
async fn a_file_of_roots_that_is_broken_says_where() {
    let good = any_root().await;
    let (first_line, rest) = good.split_once('\n').unwrap();
    let broken = [
        ("", "no certificate"),
        ("words", "no certificate"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate"),
        (&format!("{good}{first_line}\n"), "certificate 2 "),
        (&format!("{good}{first_line}\n!{rest}"), "certificate 2 "),
        (&format!("{first_line}\nAAAA\n-----END CERTIFICATE-----\n{good}"), "certificate 1 "),
    ];

    for (pem, expected) in broken {
        let refused = parse_roots(pem.as_bytes()).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused} of {pem}");
    }

    assert_eq!(parse_roots(b""), Err(InvalidRoots::Empty));
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_a_tls_error() {
    for (how, expected) in
        [(Misbehaviour::NotHttp, TlsFault::NotTls), (Misbehaviour::CloseAtOnce, TlsFault::Other)]
    {
        let receiver = PlainTalk::start(how).await;

        let error = client(&any_root().await).send(get(receiver.url())).await.unwrap_err();

        assert!(matches!(error, Error::Tls { fault, .. } if fault == expected), "{how:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_at_the_deadline() {
    let silent = BadReceiver::start(Misbehaviour::Silence).await;
    let url = format!("https://{}/", silent.address());

    let error = client(&any_root().await).send(hasty(url)).await.unwrap_err();

    assert!(matches!(error, Error::Timeout { phase: Phase::Tls }), "{error:?}");
}

#[tokio::test]
async fn a_refused_address_is_refused_before_any_handshake() {
    let trap = BadReceiver::start(Misbehaviour::Silence).await;
    let extra_roots = parse_roots(any_root().await.as_bytes()).unwrap();
    let setup = Setup { extra_roots, ..Setup::default() };
    let client = Client::with_setup(allow(""), Limits::default(), setup);

    let error = client.send(get(format!("https://{}/", trap.address()))).await.unwrap_err();

    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert_eq!(trap.connections(), 0);
}

/// Answers the first bytes of a handshake in plain text, or with the end of the connection.
struct PlainTalk {
    port: u16,
    _running: JoinSet<()>,
}

impl PlainTalk {
    async fn start(how: Misbehaviour) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the test's own server starts");
        let port = socket.local_addr().expect("the test's own server starts").port();
        let mut running = JoinSet::new();
        running.spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                let mut hello = [0; 2048];
                if stream.read(&mut hello).await.is_ok() && how == Misbehaviour::NotHttp {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                }
            }
        });
        Self { port, _running: running }
    }

    fn url(&self) -> String {
        format!("https://x.test:{}/", self.port)
    }
}
