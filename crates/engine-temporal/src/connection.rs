//! How a cluster is reached.
//!
//! Invariant: what is wrong with a configuration is said when it is read, in the operator's words; a cluster that is only
//! away is no error, and is asked for again.
//! Not here: what is said over the connection (`cluster`).

use std::path::PathBuf;
use std::time::Duration;
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection as Wire, ConnectionOptions, TlsOptions,
};
use url::Url;

/// The longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Dispatchers of one project, unless configured.
pub(crate) const SHARDS: u32 = 4;

/// Where a Temporal cluster is and how this node works with it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `host:port`.
    pub address: String,
    /// Its namespace.
    pub namespace: String,
    /// The task queue of our workers; also what all our dispatchers' ids begin with.
    pub task_queue: String,
    /// How the connection is protected; `None` for not at all.
    pub tls: Option<Tls>,
    /// How this node proves who it is.
    pub credentials: Credentials,
    /// How runs are started.
    pub dispatch: Dispatch,
    /// What the cluster shows of this node.
    pub identity: String,
}

/// A protected connection.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Certificates of those who may vouch for the cluster; the system's, unless configured.
    pub authority: Option<PathBuf>,
    /// The name in the cluster's certificate, where it is not the address's.
    pub server_name: Option<String>,
}

/// How a node proves who it is.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// By a certificate of its own.
    Certificate {
        /// The certificate, PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
    /// By a key of Temporal Cloud.
    ApiKey(secrecy::SecretString),
}

/// How runs are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// By dispatchers: so many workflows for each project, which start runs as their children.
    Dispatchers {
        /// How many.
        shards: u32,
    },
    /// By this node, one after the other.
    Direct,
}

impl Default for Dispatch {
    fn default() -> Self {
        Self::Dispatchers { shards: SHARDS }
    }
}

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Misconfigured {
    /// No address.
    #[error("{address:?} is no address of a Temporal cluster: write HOST:PORT")]
    Address {
        /// What was written.
        address: String,
    },
    /// A file.
    #[error("{what} {} cannot be read", path.display())]
    Unreadable {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{what} {} holds no PEM text", path.display())]
    NotPem {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
    },
}

/// A connection whose files were read.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    options: ConnectionOptions,
    pub(crate) namespace: String,
}

impl Connection {
    /// Reads what the connection needs.
    pub(crate) fn read(&self) -> Result<Ready, Misconfigured> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let unusable = || Misconfigured::Address { address: self.address.clone() };
        let target: Url = format!("{scheme}://{}", self.address).parse().map_err(|_| unusable())?;
        if target.host().is_none() {
            return Err(unusable());
        }
        let tls = match &self.tls {
            None => None,
            Some(tls) => Some(self.tls_options(tls)?),
        };
        let key = match &self.credentials {
            Credentials::ApiKey(key) => Some(secrecy::ExposeSecret::expose_secret(key).to_owned()),
            Credentials::None | Credentials::Certificate { .. } => None,
        };
        let options = ConnectionOptions::new(target)
            .identity(self.identity.clone())
            .connect_timeout(CONNECT_MAX)
            .maybe_tls_options(tls)
            .maybe_api_key(key)
            .build();
        Ok(Ready { options, namespace: self.namespace.clone() })
    }

    fn tls_options(&self, tls: &Tls) -> Result<TlsOptions, Misconfigured> {
        let authority = tls.authority.as_ref().map(|path| pem("the authority's file", path)).transpose()?;
        let client = match &self.credentials {
            Credentials::Certificate { certificate, key } => Some(
                ClientTlsOptions::builder()
                    .client_cert(pem("the certificate", certificate)?)
                    .client_private_key(pem("the certificate's key", key)?)
                    .build(),
            ),
            Credentials::None | Credentials::ApiKey(_) => None,
        };
        Ok(TlsOptions::builder()
            .maybe_server_root_ca_cert(authority)
            .maybe_domain(tls.server_name.clone())
            .maybe_client_tls_options(client)
            .build())
    }
}

impl Ready {
    /// Connects. `Err`: the cluster is away, or refuses.
    pub(crate) async fn connect(&self) -> Result<Client, String> {
        let connected = tokio::time::timeout(CONNECT_MAX * 2, Wire::connect(self.options.clone())).await;
        let wire = connected.map_err(|_| "it does not answer".to_owned())?.map_err(|cause| chain(&cause))?;
        Client::new(wire, ClientOptions::new(self.namespace.clone()).build()).map_err(|cause| chain(&cause))
    }
}

fn pem(what: &'static str, path: &PathBuf) -> Result<Vec<u8>, Misconfigured> {
    let unreadable = |cause| Misconfigured::Unreadable { what, path: path.clone(), cause };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let is_pem = bytes.windows(10).any(|window| window == b"-----BEGIN");
    if is_pem { Ok(bytes) } else { Err(Misconfigured::NotPem { what, path: path.clone() }) }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
