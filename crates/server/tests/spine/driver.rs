//! Who drives the runs of a bed: the embedded engine, at a time of its own.
//!
//! Not here: the same on a cluster, which runs some of these very scenarios (`openevent-engine-temporal`).

use openevent_domain::ambient::Millis;
use openevent_engine::{Engine, Parts};

/// Whether scenarios run on SQLite too.
pub(crate) const ON_SQLITE: bool = true;

/// When every test begins: 1 January 2026.
pub(crate) fn begin() -> Millis {
    1_767_225_600_000
}

/// Where chance begins to count.
pub(crate) fn seed() -> u64 {
    0
}

pub(crate) fn start(parts: Parts) -> Engine {
    Engine::start(parts).expect("the engine starts")
}
