//! Every store call of a path fails once; nothing half-done may be left.
//!
//! Invariant: after a fault, doing the same again leads to the same rows as if nothing had happened.
//! Not here: real faults (`postgres_away.rs`, `sqlite_away.rs`).

use crate::support::{Bed, NOW, key, on_both, project, run, set, signal, tenant};
use openevent_store::idempotency::{KEPT_MS, Remembered};
use openevent_store::runs::Ending;
use openevent_store::{Error, Store};
use std::sync::Arc;

/// Fails the first, second, … call of `path` in turn, each time on a fresh database, then does `path` again
/// without a fault and lets `check` look. Ends when a fault found no call to strike; answers how many struck.
async fn sweep(
    fresh: impl AsyncFn() -> Bed,
    path: impl AsyncFn(&Store) -> Result<(), Error>,
    check: impl AsyncFn(&Store),
) -> i64 {
    for n in 1.. {
        let bed = fresh().await;
        bed.store.faults().arm(n);
        let first = path(&bed.store).await;
        if bed.store.faults().is_armed() {
            assert!(first.is_ok(), "without a fault: {first:?}");
            bed.store.faults().arm(0);
            check(&bed.store).await;
            return n - 1;
        }
        assert!(first.is_err_and(|cause| cause.is_unavailable()), "fault {n} was swallowed");
        let again = path(&bed.store).await;
        assert!(again.is_ok(), "after fault {n}: {again:?}");
        check(&bed.store).await;
    }
    unreachable!("the loop ends by itself")
}

/// The same on both databases.
async fn sweep_both(
    path: impl AsyncFn(&Store) -> Result<(), Error>,
    check: impl AsyncFn(&Store),
    calls: i64,
) {
    assert_eq!(sweep(Bed::sqlite, &path, &check).await, calls);
    assert_eq!(sweep(Bed::postgres, &path, &check).await, calls);
}

#[tokio::test]
async fn making_a_key_in_a_new_project_survives_any_single_fault() {
    let candidate = project("shop");
    let wanted = key(&candidate, "h");
    let path = async |store: &Store| {
        store.ensure_project(candidate.clone()).await?;
        match store.submit(set(|set| set.add_key(&wanted))).await {
            Err(Error::Exists { .. }) => Ok(()),
            done => done,
        }
    };

    let check = async |store: &Store| {
        assert_eq!(store.keys().await.unwrap(), std::slice::from_ref(&wanted));
        assert_eq!(store.project("shop").await.unwrap(), Some(candidate.clone()));
    };

    sweep_both(path, check, 4).await;
}

#[tokio::test]
async fn an_expired_answer_gives_way_under_any_single_fault() {
    let answer = |created_at| Remembered { fingerprint: "f".into(), answer: "{}".into(), created_at };
    let later = NOW + KEPT_MS + 1;
    let path = async |store: &Store| {
        match store.submit(set(|set| set.remember(&tenant(), "k", &answer(NOW)))).await {
            Ok(()) | Err(Error::Exists { .. }) => {}
            Err(cause) => return Err(cause),
        }
        if store.recall(&tenant(), "k", later).await?.is_none() {
            store.submit(set(|set| set.remember(&tenant(), "k", &answer(later)))).await?;
        }
        Ok(())
    };

    let check = async |store: &Store| {
        let found = store.recall(&tenant(), "k", later).await.unwrap();
        assert_eq!(found.map(|found| found.created_at), Some(later));
    };

    sweep_both(path, check, 4).await;
}

#[tokio::test]
async fn retention_goes_on_after_any_single_fault() {
    let (old_signal, old_run) = (Arc::new(signal("n", NOW)), Arc::new(run("a", NOW)));
    let path = async |store: &Store| {
        let rows = set(|set| {
            set.add_signal(Arc::clone(&old_signal));
            set.add_run(Arc::clone(&old_run));
            set.append_journal(&old_run.id, 1, NOW, "{}".into());
            set.end_run(&old_run.id, &Ending { status: "completed", output: None, error: None, at: NOW });
        });
        match store.submit(rows).await {
            Ok(()) | Err(Error::Exists { .. }) => {}
            Err(cause) => return Err(cause),
        }
        while store.retire_signals(NOW + 1).await? {}
        while store.retire_runs(NOW + 1).await? {}
        Ok(())
    };

    let check = async |store: &Store| {
        assert_eq!(store.signals_last().await.unwrap(), 0);
        assert_eq!(store.run(&tenant(), &old_run.id).await.unwrap(), None);
        assert_eq!(store.journal(&old_run.id).await.unwrap(), []);
    };

    sweep_both(path, check, 7).await;
}

#[tokio::test]
async fn a_fault_strikes_once_and_can_be_called_off() {
    on_both(async |bed| {
        bed.store.faults().arm(2);
        let results = [bed.store.ping().await, bed.store.ping().await, bed.store.ping().await];
        bed.store.faults().arm(1);
        bed.store.faults().arm(0);

        assert_eq!(results.map(|result| result.is_ok()), [true, false, true]);
        assert!(bed.store.ping().await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_leaves_the_set_written() {
    on_both(async |bed| {
        let given = Arc::new(signal("n", NOW));
        bed.store.faults().arm_answer(1);

        let unanswered = bed.store.submit(set(|set| set.add_signal(Arc::clone(&given)))).await;
        let again = bed.store.submit(set(|set| set.add_signal(Arc::clone(&given)))).await;

        assert!(unanswered.is_err_and(|cause| cause.is_unavailable()) && !bed.store.faults().is_armed());
        assert!(matches!(again, Err(Error::Exists { table }) if table == "signals"));
    })
    .await;
}
