//! Who is trusted over TLS: the system's roots and those the operator adds.
//!
//! Invariant: the roots are read once, at the first `https` connection; a server that only calls `http`
//! never pays for them.
//! Not here: switching verification off; there is no way to.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::sync::OnceCell;

use crate::error::Cause;

/// Why a text holds no certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoots {
    /// It holds nothing of the kind.
    #[error("there is no certificate in it, only PEM is read")]
    Empty,
    /// One of its certificates is broken.
    #[error("its certificate {n} cannot be read: {why}")]
    Broken {
        /// Which, from 1.
        n: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads the certificates of PEM text, each of which can be trusted as an authority. Other sections are passed over.
pub fn parse_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidRoots> {
    let mut roots = Vec::new();
    for (before, read) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let broken = |why: String| InvalidRoots::Broken { n: before + 1, why };
        let root = read.map_err(|why| broken(why.to_string()))?;
        RootCertStore::empty().add(root.clone()).map_err(|why| broken(why.to_string()))?;
        roots.push(root);
    }
    if roots.is_empty() { Err(InvalidRoots::Empty) } else { Ok(roots) }
}

/// The TLS configuration, built when first wanted.
pub(crate) struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>) -> Self {
        Self { extra_roots, config: OnceCell::new() }
    }

    /// The configuration; a failure is not remembered, so that the next call tries again.
    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, Cause> {
        self.config.get_or_try_init(|| load(self.extra_roots.clone())).await.cloned()
    }
}

async fn load(extra_roots: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, Cause> {
    // Hundreds of small files: not on a thread that serves requests.
    tokio::task::spawn_blocking(move || build(extra_roots)).await?
}

fn build(extra_roots: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, Cause> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // Stores of real machines hold the odd certificate that does not parse; it just is not trusted.
    roots.add_parsable_certificates(system.certs);
    for root in extra_roots {
        roots.add(root)?;
    }
    if roots.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no trusted root certificates found").into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
