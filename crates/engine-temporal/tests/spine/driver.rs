//! Who drives the runs of a bed: a Temporal cluster, the development server that `cargo xtask test` starts for all tests.
//!
//! Invariant: a bed has a task queue, dispatchers and ids of its own, so that the tests do not meet. Its clock is the
//! real one, as the cluster's is.

use openevent_domain::ambient::Millis;
use openevent_engine::{Engine, Parts};
use openevent_engine_temporal::{Connection, Credentials, Dispatch, Temporal, work};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether scenarios run on SQLite too.
pub(crate) const ON_SQLITE: bool = false;
/// Names the address of a Temporal cluster for tests.
const ADDRESS: &str = "OPENEVENT_TEST_TEMPORAL_ADDRESS";

static BEGIN: LazyLock<Millis> = LazyLock::new(|| nanos().div_euclid(1_000_000) as Millis);

#[expect(clippy::disallowed_methods, reason = "the cluster's clock is the real one")]
fn nanos() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128)
}

static LAST: Mutex<Option<Arc<Temporal>>> = Mutex::new(None);

/// The cluster of the last bed.
pub(crate) fn cluster() -> Arc<Temporal> {
    LAST.lock().expect("nobody panicked here").clone().expect("a bed was made")
}

/// When every test begins: now.
pub(crate) fn begin() -> Millis {
    *BEGIN
}

/// Where chance begins to count: nowhere twice.
pub(crate) fn seed() -> u64 {
    (nanos() as u64) ^ (u64::from(std::process::id()) << 48)
}

#[expect(clippy::disallowed_methods, reason = "tests are told of services by their environment")]
pub(crate) fn start(parts: Parts) -> Engine {
    static BEDS: AtomicU64 = AtomicU64::new(0);
    let address =
        std::env::var(ADDRESS).unwrap_or_else(|_| panic!("{ADDRESS} is not set; run `cargo xtask test`"));
    let bed = BEDS.fetch_add(1, Ordering::Relaxed);
    let connection = Connection {
        address,
        namespace: "default".into(),
        task_queue: format!("test-{:x}-{bed}", seed()),
        tls: None,
        credentials: Credentials::None,
        dispatch: Dispatch::default(),
        identity: "a test".into(),
    };
    let cluster = Temporal::new(connection).expect("a connection that can work");
    *LAST.lock().expect("nobody panicked here") = Some(Arc::clone(&cluster));
    let owner = parts.owner.clone();
    let engine = Engine::coordinate(parts, cluster.clone()).expect("the engine starts");
    work(cluster, engine.desk().expect("a desk"), &owner).expect("a worker starts");
    engine
}
