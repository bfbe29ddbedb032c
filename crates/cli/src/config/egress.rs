//! The way out: who may be called, through what, and whom TLS trusts.
//!
//! Invariant: the file of authorities is read with the rest of the configuration, so that a server does not begin without
//! one it was given. Credentials of the proxy show nowhere.
//! Not here: calling anybody (`openevent-egress`); whether loopback may be called, which hangs on where we listen.

use super::layers::Layers;
use openevent_egress::{CertificateDer, IpNet, NoProxy, Proxy, Setup, parse_allow_list, parse_roots};
use std::path::PathBuf;

/// Calls out, of webhooks and workflows alike.
#[derive(Clone, Debug)]
pub(crate) struct Egress {
    /// Networks that may be called although they are not public.
    pub(crate) allow: Vec<IpNet>,
    /// What connections go through.
    pub(crate) proxy: Option<Proxy>,
    /// Who is reached without it.
    pub(crate) no_proxy: NoProxy,
    /// Authorities trusted beside the system's.
    pub(crate) authorities: Option<Authorities>,
}

/// A file of certificates.
#[derive(Clone, Debug)]
pub(crate) struct Authorities {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) roots: Vec<CertificateDer<'static>>,
}

impl Egress {
    pub(super) fn read(layers: &Layers) -> anyhow::Result<Self> {
        Ok(Self {
            allow: layers.get("egress_allow", parse_allow_list)?.unwrap_or_default(),
            proxy: layers.get("egress_proxy", Proxy::parse)?,
            no_proxy: layers.get("egress_no_proxy", NoProxy::parse)?.unwrap_or_default(),
            authorities: layers.get("egress_ca_file", Authorities::read)?,
        })
    }

    /// What clients are built from.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            resolver: None,
            extra_roots: self.authorities.as_ref().map(|given| given.roots.clone()).unwrap_or_default(),
            proxy: self.proxy.clone().map(|proxy| proxy.except(self.no_proxy.clone())),
        }
    }
}

impl Authorities {
    fn read(path: &str) -> Result<Self, String> {
        let pem = std::fs::read(path).map_err(|cause| format!("{path} cannot be read: {cause}"))?;
        let roots = parse_roots(&pem).map_err(|bad| format!("{path}: {bad}"))?;
        Ok(Self { path: path.into(), roots })
    }
}
