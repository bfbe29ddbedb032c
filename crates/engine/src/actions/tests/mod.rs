//! Calls as they reach servers that check what they get.
//!
//! Invariant: nothing but loopback is called; every server is the test's own.
//! Not here: runs (the engine's suite).

mod authentication;
mod openapi;
mod processes;
mod secrets;
mod tokens;

use super::{Calls, Order, Outside, Processes};
use crate::handle::{Parts, Settings};
use crate::registry::Registry;
use crate::vault::{Secret, SecretSettings};
use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_egress::{Client, Limits, Loopback, Policy};
use openevent_flow::{Authentication, Call, Fault, HttpCall, HttpOutput, Input};
use openevent_store::{Location, Options, Owner, Store, WriteSet};
use openevent_testkit::{SqliteFile, temp_sqlite};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

const NOW: Millis = 1_767_225_600_000;

/// A clock that stands until it is put forward.
#[derive(Debug)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counts instead of drawing.
#[derive(Debug)]
struct Counter(AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = (self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}

/// The outside, as one tenant's run sees it.
struct Bed {
    outside: Outside,
    clock: Arc<Standing>,
    owner: Owner,
    file: SqliteFile,
}

impl Bed {
    async fn new() -> Self {
        Self::with(Processes::default(), Duration::from_secs(30), &[]).await
    }

    async fn with(processes: Processes, process_deadline: Duration, environment: &[(&str, &str)]) -> Self {
        let file = temp_sqlite();
        let owner = Owner::default();
        let options = Options { location: Location::File(file.path()), group_max: None };
        let store = Arc::new(Store::open(options, NOW, &owner).await.expect("a store opens"));
        let clock = Arc::new(Standing(AtomicI64::new(NOW)));
        let variable = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).into());
        let secrets = SecretSettings {
            key_file: Some(file.dir().join("openevent.key")),
            environment: environment.iter().map(variable).collect(),
        };
        let policy = Policy::new(Vec::new(), Loopback::Allowed);
        let outside = Outside::of(&Parts {
            registry: Arc::new(Registry::open(Arc::clone(&store)).await.expect("a registry")),
            store,
            calls: Calls::Real(Client::new(policy, Limits::default())),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            chance: Arc::new(Counter(AtomicU64::new(1))),
            owner: owner.clone(),
            settings: Settings { processes, process_deadline, secrets, ..Settings::default() },
        });
        Self { outside, clock, owner, file }
    }

    /// The same database, as another process opens it.
    async fn another_store(&self) -> Store {
        let options = Options { location: Location::File(self.file.path()), group_max: None };
        Store::open(options, NOW, &self.owner).await.expect("a store opens")
    }

    async fn put(&self, name: &str, value: Value) {
        let secret = Secret::of_json(&value).expect("text, or an object of text");
        self.outside
            .vault
            .put(WriteSet::new(), &tenant(), name, &secret, NOW)
            .await
            .expect("a secret is put");
    }

    /// What a run would have as `$secrets`.
    async fn given(&self, names: &[&str]) -> Value {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.perform(Call::Secrets { names }, None).await.expect("stand-ins")
    }

    async fn perform(&self, call: Call, secrets: Option<Value>) -> Result<Value, Fault> {
        let run = RunId::trusted("run_1".into());
        match self.outside.perform(Order { tenant: tenant(), run, op: 7 }, call, secrets).await {
            Input::Done { op: 7, value } => Ok(value),
            Input::Failed { op: 7, error } => Err(error),
            other => panic!("{other:?}"),
        }
    }

    async fn get(&self, uri: String, policy: Authentication) -> Result<Value, Fault> {
        self.perform(Call::Http(get(uri, Some(policy))), None).await
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.owner.stop.cancel();
    }
}

fn tenant() -> Tenant {
    Tenant::trusted("prj_1.live".into())
}

fn get(uri: String, authentication: Option<Authentication>) -> HttpCall {
    HttpCall {
        method: "GET".into(),
        uri,
        headers: Vec::new(),
        body: None,
        authentication,
        redirect: false,
        output: HttpOutput::Content,
        reference: "/do/0/ask".into(),
    }
}

/// The last part of a fault's type.
fn kind(fault: &Fault) -> &str {
    fault.r#type.rsplit('/').next().unwrap_or_default()
}
