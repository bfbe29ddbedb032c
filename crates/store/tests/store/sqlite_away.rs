//! A SQLite file that cannot be written for a while.
//!
//! Invariant: writes say `Unavailable` and leave nothing, reads go on, and the same store writes again later.
//! Not here: a full disk (`tests/disk_full.rs`).

use crate::support::{Bed, NOW, open, set, signal, store_signals, tenant};
use openevent_store::{Error, Location, Owner, WriteSet};
use std::sync::Arc;

fn one_signal() -> (WriteSet, openevent_domain::id::SignalId) {
    let signal = Arc::new(signal("n", NOW));
    let id = signal.id.clone();
    (set(|set| set.add_signal(signal)), id)
}

#[tokio::test]
async fn a_file_that_another_process_locks_is_unavailable_until_it_lets_go() {
    let bed = Bed::sqlite().await;
    let Location::File(path) = bed.location() else { panic!("a file") };
    let stored = store_signals(&bed.store, [signal("n", NOW)]).await;
    let other = rusqlite::Connection::open(path).unwrap();

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (write, refused) = one_signal();
    let locked = bed.store.submit(write).await;
    let read = bed.store.signal(&tenant(), &stored[0]).await;
    other.execute_batch("ROLLBACK").unwrap();
    let (write, accepted) = one_signal();
    bed.store.submit(write).await.unwrap();

    assert!(locked.is_err_and(|cause| cause.is_unavailable()));
    assert!(read.unwrap().is_some());
    assert_eq!(bed.store.signal(&tenant(), &refused).await.unwrap(), None);
    assert!(bed.store.signal(&tenant(), &accepted).await.unwrap().is_some());
}

#[tokio::test]
async fn a_read_only_file_is_read_and_refuses_writes_as_unavailable() {
    let bed = Bed::sqlite().await;
    let Location::File(path) = bed.location() else { panic!("a file") };
    let stored = store_signals(&bed.store, [signal("n", NOW)]).await;
    // Tests may run as root, whom no mode bit stops: SQLite itself is told to open the file for reading.
    let read_only = Location::File(format!("file:{}?mode=ro", path.display()).into());
    let store = open(read_only, &Owner::default()).await.unwrap();

    let (write, refused) = one_signal();
    let outcomes = [store.submit(write).await, store.submit(one_signal().0).await];

    assert!(outcomes.into_iter().all(|outcome| matches!(outcome, Err(Error::Unavailable(_)))));
    assert!(store.signal(&tenant(), &stored[0]).await.unwrap().is_some());
    assert_eq!(store.signal(&tenant(), &refused).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let file = openevent_testkit::temp_sqlite();
    std::fs::write(file.path(), b"a letter to a friend, long enough to be read as the head of a file")
        .unwrap();

    let opened = open(Location::File(file.path()), &Owner::default()).await;

    assert!(matches!(opened, Err(Error::Refused(_))), "{opened:?}");
}
