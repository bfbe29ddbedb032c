//! TLS: who is trusted, and what broken handshakes look like.
//!
//! Invariant: certificates are made for each test; the system's roots never make one pass.
//! Not here: plain HTTP.

use std::{net::Ipv4Addr, sync::Arc};

use openevent_egress::{CertificateDer, Client, Error, Limits, Phase, Setup, TlsFault};
use openevent_testkit::{BadReceiver, Misbehaviour};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::support::{FakeDns, allow, get, hasty};

struct TlsReceiver {
    port: u16,
    root: CertificateDer<'static>,
    _running: JoinSet<()>,
}

/// An HTTPS server for `name` that answers each connection once.
async fn serve(name: &str) -> TlsReceiver {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).expect("the test's own server starts");
    let root = cert.der().clone();
    let acceptor = TlsAcceptor::from(Arc::new(config(root.clone(), &signing_key)));
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the test's own server starts");
    let port = socket.local_addr().expect("the test's own server starts").port();
    let mut running = JoinSet::new();
    running.spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            // A client that does not trust us leaves during the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 1024];
            if stream.read(&mut head).await.is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    TlsReceiver { port, root, _running: running }
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the test's own server starts");
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the test's own server starts")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the test's own server starts")
}

fn client(extra_roots: Vec<CertificateDer<'static>>) -> Client {
    let dns = FakeDns::answering(&[&["127.0.0.1"]]);
    let setup = Setup { resolver: Some(Arc::new(dns)), extra_roots };
    Client::with_setup(allow("127.0.0.1"), Limits::default(), setup)
}

#[tokio::test]
async fn a_certificate_under_a_root_of_the_operator_is_trusted() {
    let receiver = serve("hooks.test").await;
    let url = format!("https://hooks.test:{}/", receiver.port);

    let answered = client(vec![receiver.root.clone()]).send(get(url)).await.unwrap();

    assert_eq!((answered.status, &answered.body[..]), (200, &b"secret"[..]));
}

#[tokio::test]
async fn an_unknown_certificate_and_another_name_are_not_trusted() {
    let receiver = serve("hooks.test").await;
    let unknown = serve("unknown.test").await;

    let name = format!("https://other.test:{}/", receiver.port);
    let wrong_name = client(vec![receiver.root.clone()]).send(get(name)).await.unwrap_err();
    let root = format!("https://unknown.test:{}/", unknown.port);
    let wrong_root = client(vec![receiver.root.clone()]).send(get(root)).await.unwrap_err();

    assert!(matches!(wrong_name, Error::Tls { fault: TlsFault::WrongName, .. }), "{wrong_name:?}");
    assert!(matches!(wrong_root, Error::Tls { fault: TlsFault::Untrusted, .. }), "{wrong_root:?}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_a_tls_error() {
    for (how, expected) in
        [(Misbehaviour::NotHttp, TlsFault::NotTls), (Misbehaviour::CloseAtOnce, TlsFault::Other)]
    {
        let CertifiedKey { cert, .. } = generate_simple_self_signed(["x.test".to_owned()]).unwrap();
        let receiver = PlainTalk::start(how).await;

        let error = client(vec![cert.der().clone()]).send(get(receiver.url())).await.unwrap_err();

        assert!(matches!(error, Error::Tls { fault, .. } if fault == expected), "{how:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_at_the_deadline() {
    let CertifiedKey { cert, .. } = generate_simple_self_signed(["x.test".to_owned()]).unwrap();
    let silent = BadReceiver::start(Misbehaviour::Silence).await;
    let url = format!("https://{}/", silent.address());

    let error = client(vec![cert.der().clone()]).send(hasty(url)).await.unwrap_err();

    assert!(matches!(error, Error::Timeout { phase: Phase::Tls }), "{error:?}");
}

#[tokio::test]
async fn a_refused_address_is_refused_before_any_handshake() {
    let CertifiedKey { cert, .. } = generate_simple_self_signed(["x.test".to_owned()]).unwrap();
    let trap = BadReceiver::start(Misbehaviour::Silence).await;
    let setup = Setup { extra_roots: vec![cert.der().clone()], ..Setup::default() };
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
