//! Connections to a cluster behind TLS: what is trusted, who is let in, what is refused before anything starts.
//!
//! Invariant: the cluster is the real development server; a proxy of the test's own speaks TLS for it.
//! Not here: Temporal Cloud itself; its key travels like any header of an encrypted connection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openevent_engine::remote::Cluster as _;
use openevent_engine_temporal::{Connection, Credentials, Dispatch, Misconfigured, Temporal, Tls};
use openevent_testkit::temporal_address;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The name in the proxy's certificate.
const NAME: &str = "temporal.example";

/// A certificate with its key, as files.
struct Identity {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn of(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (cert.der().clone(), signing_key.serialize_der());
        let write = |name: &str, label: &str, der: &[u8]| {
            let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        write("cert.pem", "CERTIFICATE", &certificate);
        write("key.pem", "PRIVATE KEY", &key);
        Self { folder, certificate, key }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Speaks TLS for the cluster; with `client`, only to those who show that certificate. Answers its address.
#[expect(clippy::disallowed_methods, reason = "the proxy lives as long as the test")]
async fn proxy(identity: &Identity, client: Option<&Identity>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("TLS");
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.certificate.clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.clone()).expect("a key");
    let mut config = builder.with_single_cert(vec![identity.certificate.clone()], key).expect("a config");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut cluster = TcpStream::connect(temporal_address()).await.expect("the cluster");
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut cluster).await;
            });
        }
    });
    address
}

fn connection(address: String, tls: Option<Tls>, credentials: Credentials) -> Connection {
    Connection {
        address,
        namespace: "default".into(),
        task_queue: "connections".into(),
        tls,
        credentials,
        dispatch: Dispatch::default(),
        identity: "a test".into(),
    }
}

/// Whether a cluster can be asked something: whether it has a run nobody has.
async fn asked(connection: Connection) -> Result<bool, String> {
    let cluster = Temporal::new(connection).map_err(|bad| bad.to_string())?;
    cluster.tell("run_nobody_has".into(), Vec::new()).await.map_err(|away| away.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_behind_tls_is_reached_where_its_authority_and_name_are_known() {
    let (identity, stranger) = (Identity::of(NAME), Identity::of(NAME));
    let address = proxy(&identity, None).await;
    let trusting = |authority: &Identity, name: Option<&str>| Tls {
        authority: Some(authority.file("cert.pem")),
        server_name: name.map(str::to_owned),
    };

    let plain = asked(connection(temporal_address(), None, Credentials::None)).await;
    let known =
        asked(connection(address.clone(), Some(trusting(&identity, Some(NAME))), Credentials::None)).await;
    let key = Credentials::ApiKey("key".to_owned().into());
    let with_key = asked(connection(address.clone(), Some(trusting(&identity, Some(NAME))), key)).await;
    let unknown =
        asked(connection(address.clone(), Some(trusting(&stranger, Some(NAME))), Credentials::None)).await;
    let misnamed =
        asked(connection(address.clone(), Some(trusting(&identity, None)), Credentials::None)).await;
    let unprotected = asked(connection(address, None, Credentials::None)).await;

    assert_eq!((plain, known, with_key), (Ok(false), Ok(false), Ok(false)));
    for refused in [unknown, misnamed, unprotected] {
        assert!(refused.is_err_and(|words| words.starts_with("Temporal at 127.0.0.1:")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_asks_for_a_certificate_takes_ours_and_no_other() {
    let (identity, ours, theirs) = (Identity::of(NAME), Identity::of("us"), Identity::of("them"));
    let address = proxy(&identity, Some(&ours)).await;
    let tls = Tls { authority: Some(identity.file("cert.pem")), server_name: Some(NAME.to_owned()) };
    let showing = |identity: &Identity| Credentials::Certificate {
        certificate: identity.file("cert.pem"),
        key: identity.file("key.pem"),
    };

    let let_in = asked(connection(address.clone(), Some(tls.clone()), showing(&ours))).await;
    let another = asked(connection(address.clone(), Some(tls.clone()), showing(&theirs))).await;
    let nobody = asked(connection(address, Some(tls), Credentials::None)).await;

    assert_eq!(let_in, Ok(false));
    assert!(another.is_err() && nobody.is_err());
}

#[test]
fn what_cannot_work_is_said_before_anything_starts() {
    let identity = Identity::of(NAME);
    let with = |authority: PathBuf| {
        let tls = Tls { authority: Some(authority), server_name: None };
        Temporal::new(connection("127.0.0.1:1".into(), Some(tls), Credentials::None))
    };
    std::fs::write(identity.file("note.txt"), "no certificate").expect("a file");

    let missing = with(identity.file("none.pem")).expect_err("it is not there");
    let text = with(identity.file("note.txt")).expect_err("it is no certificate");
    let nowhere = Temporal::new(connection("no address".into(), None, Credentials::None));

    assert!(matches!(missing, Misconfigured::Unreadable { .. }), "{missing}");
    assert!(text.to_string().contains("holds no PEM text"), "{text}");
    assert!(matches!(nowhere, Err(Misconfigured::Address { .. })));
}
