//! The Temporal cluster of the configuration, where this binary was built with it.
//!
//! Invariant: a binary without the feature never comes to use one; `Config::check_start` refuses before.
//! Not here: the settings (`config/temporal.rs`), what is done on the cluster (`openevent-engine-temporal`).

use crate::config::Temporal;
use openevent_engine::Engine;
use openevent_store::Owner;
use std::sync::Arc;

#[cfg(feature = "temporal")]
mod built {
    use super::{Arc, Engine, Owner, Temporal};
    use crate::failure::{Explain as _, explain};
    use openevent_engine_temporal::{Connection, Credentials, Dispatch, Tls};

    /// A cluster; connected to when there is something to say.
    pub(crate) struct Cluster(Arc<openevent_engine_temporal::Temporal>);

    impl Cluster {
        pub(crate) fn of(settings: &Temporal) -> anyhow::Result<Self> {
            let credentials = match (&settings.certificate, &settings.api_key) {
                (Some((certificate, key)), _) => {
                    Credentials::Certificate { certificate: certificate.clone(), key: key.clone() }
                }
                (None, Some(key)) => Credentials::ApiKey(key.clone()),
                (None, None) => Credentials::None,
            };
            let (authority, server_name) = (settings.authority.clone(), settings.server_name.clone());
            let connection = Connection {
                address: settings.address.clone(),
                namespace: settings.namespace.clone(),
                task_queue: settings.task_queue.clone(),
                tls: settings.tls.then_some(Tls { authority, server_name }),
                credentials,
                dispatch: settings.shards.map_or(Dispatch::Direct, |shards| Dispatch::Dispatchers { shards }),
                identity: format!("openevent {}@{}", env!("CARGO_PKG_VERSION"), std::process::id()),
            };
            let cluster = openevent_engine_temporal::Temporal::new(connection);
            let hint = "docs/scaling.md shows the settings of a connection to Temporal";
            Ok(Self(cluster.map_err(|cause| explain(cause, "the connection to Temporal cannot work", hint))?))
        }

        pub(crate) fn shared(&self) -> Arc<dyn openevent_engine::remote::Cluster> {
            Arc::clone(&self.0) as _
        }

        /// From now on this node drives runs for the cluster.
        pub(crate) fn work(&self, engine: &Engine, owner: &Owner) -> anyhow::Result<()> {
            let Some(desk) = engine.desk() else { return Ok(()) };
            let working = openevent_engine_temporal::work(Arc::clone(&self.0), desk, owner);
            working.explain("cannot start a thread for Temporal", "see that the system lets us have threads")
        }
    }
}

#[cfg(not(feature = "temporal"))]
mod built {
    use super::{Arc, Engine, Owner, Temporal};
    use crate::failure::usage;
    use std::convert::Infallible;

    /// There is none in this binary.
    pub(crate) struct Cluster(Infallible);

    impl Cluster {
        pub(crate) fn of(_settings: &Temporal) -> anyhow::Result<Self> {
            Err(usage("this binary was built without Temporal", "build it with `--features temporal`"))
        }

        pub(crate) fn shared(&self) -> Arc<dyn openevent_engine::remote::Cluster> {
            match self.0 {}
        }

        pub(crate) fn work(&self, _engine: &Engine, _owner: &Owner) -> anyhow::Result<()> {
            match self.0 {}
        }
    }
}

pub(crate) use built::Cluster;
