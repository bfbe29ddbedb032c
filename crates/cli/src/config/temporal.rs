//! A Temporal cluster that drives the runs.
//!
//! Invariant: what cannot work is refused here, with the key that says so; files are read when the server starts.
//! Not here: connecting (`openevent-engine-temporal`).

use super::layers::Layers;
use super::settings;
use crate::failure::usage;
use secrecy::{ExposeSecret as _, SecretString};
use std::convert::Infallible;
use std::path::PathBuf;

/// Dispatchers of one project at most: each is a workflow that is always there.
const SHARDS_MAX: u32 = 256;

/// A Temporal cluster.
#[derive(Clone, Debug)]
pub(crate) struct Temporal {
    /// `host:port` of its frontend.
    pub(crate) address: String,
    /// The namespace runs are started in.
    pub(crate) namespace: String,
    /// The queue our workers take their work from.
    pub(crate) task_queue: String,
    /// Whether the connection is protected.
    pub(crate) tls: bool,
    /// Certificates of those who may vouch for the cluster, when not the system's.
    pub(crate) authority: Option<PathBuf>,
    /// The name in the cluster's certificate, when not the address's.
    pub(crate) server_name: Option<String>,
    /// Our certificate and its key.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// A key of Temporal Cloud.
    pub(crate) api_key: Option<SecretString>,
    /// Dispatchers of one project; `None`: this node starts every run itself.
    pub(crate) shards: Option<u32>,
}

impl Temporal {
    pub(crate) fn read(layers: &Layers) -> anyhow::Result<Option<Self>> {
        let text = |key| layers.get(key, |text| Ok::<_, Infallible>(text.to_owned()));
        let path = |key| layers.get(key, |text| Ok::<_, Infallible>(PathBuf::from(text)));
        let Some(address) = layers.get("temporal_address", settings::host_and_port)? else { return Ok(None) };
        let authority = path("temporal_tls_ca_file")?;
        let server_name = text("temporal_tls_server_name")?;
        let certificate = match (path("temporal_tls_cert_file")?, path("temporal_tls_key_file")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let hint =
                    "set both OPENEVENT_TEMPORAL_TLS_CERT_FILE and OPENEVENT_TEMPORAL_TLS_KEY_FILE, or none";
                return Err(usage(
                    "a certificate for Temporal needs its key, and a key its certificate",
                    hint,
                ));
            }
        };
        let api_key = layers.get("temporal_api_key", |text| Ok::<_, Infallible>(SecretString::from(text)))?;
        let api_key = api_key.filter(|key| !key.expose_secret().is_empty());
        if certificate.is_some() && api_key.is_some() {
            let hint = "unset OPENEVENT_TEMPORAL_API_KEY, or the two files of the certificate";
            return Err(usage("Temporal is given a certificate and an API key; it takes one of them", hint));
        }
        let needs_tls =
            authority.is_some() || server_name.is_some() || certificate.is_some() || api_key.is_some();
        let tls = layers.get("temporal_tls", settings::switch)?;
        if needs_tls && tls == Some(false) {
            let hint = "take temporal_tls = off away";
            return Err(usage("temporal_tls is off, but other settings of Temporal need it", hint));
        }
        let dispatch = layers.get("temporal_dispatch", dispatch)?.unwrap_or(true);
        let shards = layers.get("temporal_shards", settings::count)?.unwrap_or(4);
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(usage(format!("temporal_shards is {shards}"), format!("write 1 to {SHARDS_MAX}")));
        }
        Ok(Some(Self {
            address,
            namespace: text("temporal_namespace")?.unwrap_or_else(|| "default".to_owned()),
            task_queue: text("temporal_task_queue")?.unwrap_or_else(|| "openevent".to_owned()),
            tls: tls.unwrap_or(needs_tls),
            authority,
            server_name,
            certificate,
            api_key,
            shards: dispatch.then_some(shards),
        }))
    }
}

/// Whether dispatchers start runs.
fn dispatch(text: &str) -> Result<bool, String> {
    match text {
        "dispatcher" => Ok(true),
        "direct" => Ok(false),
        _ => Err(format!("`{text}` is neither dispatcher nor direct")),
    }
}
