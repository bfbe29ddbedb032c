//! What a receiver over TLS shows its clients.
//!
//! Invariant: every receiver has a certificate of its own, signed by itself, which nobody trusts who was not given it.
//! Not here: what is spoken over the connection.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// A certificate in use.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    pub(super) pem: String,
}

impl Identity {
    /// A new one for a name or an address.
    pub(super) fn of(name: &str) -> Self {
        const FINE: &str = "a certificate of the test's own";
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).expect(FINE);
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect(FINE);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect(FINE)
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect(FINE);
        let body = STANDARD.encode(cert.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), pem }
    }
}
