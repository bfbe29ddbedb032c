//! The disk is full, then it is not.
//!
//! Invariant: while the file cannot grow, writes are `Unavailable` and leave nothing, and reads go on; the
//! same store writes again once there is space.
//! Not here: anything else. The limit on file sizes holds for the whole process, so this program has one test.

use openevent_domain::id::SignalId;
use openevent_domain::signal::Attributes;
use openevent_domain::tenant::Tenant;
use openevent_store::{Error, Location, NewSignal, Options, Owner, Store, WriteSet};
use openevent_testkit::temp_sqlite;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const NOW: i64 = 1_767_225_600_000;
const PAYLOAD_BYTES: usize = 8 * 1024;

/// Stops files of this process from growing beyond a size: writes past it fail halfway, as on a full disk.
/// Answers the limit there was.
fn limit_files(bytes: Option<u64>) -> Option<u64> {
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes, ..before }).expect("a lower soft limit is allowed");
    before.current
}

async fn store_one(store: &Store, n: i64) -> (SignalId, Result<(), Error>) {
    let signal = NewSignal {
        id: SignalId::trusted(format!("signal-{n}")),
        tenant: Tenant::trusted("prj_1.live".into()),
        name: "n".into(),
        payload: format!("{{\"text\":\"{}\"}}", "x".repeat(PAYLOAD_BYTES)),
        attributes: Attributes::default(),
        received_at: NOW,
        replay_of: None,
        triggers: Vec::new(),
    };
    let (id, mut set) = (signal.id.clone(), WriteSet::new());
    set.add_signal(Arc::new(signal));
    (id, store.submit(set).await)
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_recovered_from_without_reopening() {
    // Without a handler the signal that comes with the failing write would end the process.
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(rustix::process::Signal::XFSZ.as_raw(), Arc::clone(&told)).unwrap();
    let file = temp_sqlite();
    let options = Options { location: Location::File(file.path()), group_max: None };
    let store = Store::open(options, NOW, &Owner::default()).await.unwrap();
    let tenant = Tenant::trusted("prj_1.live".into());

    let space = limit_files(Some(600 * 1024));
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for n in 0..200 {
        match store_one(&store, n).await {
            (id, Ok(())) => kept.push(id),
            (id, Err(cause)) => {
                assert!(cause.is_unavailable(), "{cause:?}");
                lost.push(id);
            }
        }
    }
    let while_full = store.signals_last().await;
    limit_files(space);
    let (late, recovered) = store_one(&store, 1_000).await;

    recovered.unwrap();
    assert!(!kept.is_empty() && lost.len() > 50, "{} kept, {} lost", kept.len(), lost.len());
    assert_eq!(while_full.unwrap(), kept.len() as i64);
    for id in kept.iter().chain([&late]) {
        assert!(store.signal(&tenant, id).await.unwrap().is_some(), "{id} was acknowledged");
    }
    for id in &lost {
        assert!(store.signal(&tenant, id).await.unwrap().is_none(), "{id} was refused");
    }
    assert_eq!(store.doctor().await.unwrap().damage, Vec::<String>::new());
}
