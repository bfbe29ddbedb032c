//! Retention, the engine's cursor, backup.
//!
//! Invariant: nothing younger than asked for goes, and nothing that still runs.
//! Not here: when to do any of it.

use crate::support::{Bed, NOW, on_both, open, run, set, signal, store_signals, tenant};
use openevent_store::runs::Ending;
use openevent_store::signals::Filter;
use openevent_store::{Error, Location, Owner, backup_sqlite};
use openevent_testkit::temp_sqlite;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[tokio::test]
async fn old_signals_go_bite_by_bite() {
    on_both(async |bed| {
        let old = set(|set| (0..700).for_each(|n| set.add_signal(Arc::new(signal("old", NOW + n)))));
        bed.store.submit(old).await.unwrap();
        let young = store_signals(&bed.store, [signal("young", NOW + 1_000)]).await;

        let mut left = Vec::new();
        while bed.store.retire_signals(NOW + 1_000).await.unwrap() {
            left.push(bed.store.signals_count(&tenant(), &Filter::default()).await.unwrap());
        }

        assert_eq!(left, [201, 1]);
        assert!(bed.store.signal(&tenant(), &young[0]).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn old_runs_go_with_their_journals_unless_they_live() {
    on_both(async |bed| {
        let given: Vec<_> = (0..600).map(|n| Arc::new(run("a", NOW + n))).collect();
        let (alive, late, dead) = (&given[0], &given[1], &given[2]);
        let ended = Ending { status: "completed", output: None, error: None, at: NOW + 700 };
        let all = set(|set| {
            for run in &given {
                set.add_run(Arc::clone(run));
            }
            for run in &given {
                set.append_journal(&run.id, 1, NOW, "{}".into());
            }
            for run in &given[2..] {
                set.end_run(&run.id, &ended);
            }
            set.end_run(&late.id, &Ending { at: NOW + 5_000, ..ended.clone() });
        });
        bed.store.submit(all).await.unwrap();

        let mut bites = 0;
        while bed.store.retire_runs(NOW + 1_000).await.unwrap() {
            bites += 1;
        }

        assert_eq!(bites, 2);
        for (kept, there) in [(alive, true), (late, true), (dead, false)] {
            assert_eq!(bed.store.run(&tenant(), &kept.id).await.unwrap().is_some(), there);
            assert_eq!(bed.store.journal(&kept.id).await.unwrap().len(), usize::from(there));
        }
    })
    .await;
}

#[tokio::test]
async fn a_cursor_is_kept_by_name() {
    on_both(async |bed| {
        for (name, seq) in [("engine", 4), ("other", 9), ("engine", 7)] {
            bed.store.submit(set(|set| set.put_cursor(name, seq))).await.unwrap();
        }

        assert_eq!(bed.store.cursor("engine").await.unwrap(), Some(7));
        assert_eq!(bed.store.cursor("other").await.unwrap(), Some(9));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_writing_holds_every_row_acknowledged_before() {
    let (bed, place) = (Bed::sqlite().await, temp_sqlite());
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let mut writing = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, stop, acknowledged) =
            (Arc::clone(&bed.store), Arc::clone(&stop), Arc::clone(&acknowledged));
        writing.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                store_signals(&store, [signal("n", NOW)]).await;
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    crate::support::until("some rows", async || (acknowledged.load(Ordering::SeqCst) > 50).then_some(()))
        .await;

    let (from, to, before) = (bed.location(), place.path(), acknowledged.load(Ordering::SeqCst));
    tokio::task::spawn_blocking(move || backup_sqlite(&from, &to)).await.unwrap().unwrap();
    let during = acknowledged.load(Ordering::SeqCst);
    stop.store(true, Ordering::SeqCst);
    writing.join_all().await;

    let copy = open(Location::File(place.path()), &Owner::default()).await.unwrap();
    let rows = copy.signals_last().await.unwrap();
    assert!(rows >= before && rows <= during + 4, "{before} <= {rows} <= {during}");
    let doctor = copy.doctor().await.unwrap();
    assert!(doctor.damage.is_empty() && doctor.missing.is_empty(), "{doctor:?}");
}

#[tokio::test]
async fn a_backup_replaces_nothing() {
    let (bed, place) = (Bed::sqlite().await, temp_sqlite());
    std::fs::write(place.path(), b"somebody's work").unwrap();

    let refused = backup_sqlite(&bed.location(), &place.path());

    assert!(refused.is_err());
    assert_eq!(std::fs::read(place.path()).unwrap(), b"somebody's work");
}

#[tokio::test]
async fn there_is_no_backup_of_nothing_and_none_of_a_server() {
    let place = temp_sqlite();

    let of_nothing = backup_sqlite(&Location::File(place.dir().join("none.db")), &place.path());
    let of_a_server = backup_sqlite(&Location::Server("postgres://127.0.0.1/x".into()), &place.path());

    assert!(of_nothing.is_err_and(|cause| cause.is_unavailable()));
    assert!(matches!(of_a_server, Err(Error::Refused(_))));
    assert!(!place.path().exists() && !place.dir().join("none.db").exists());
}
