//! Notices: what a commit tells those who wait for work.
//!
//! Invariant: told after the commit, in the order of commits, and never of what failed.
//! Not here: a full queue (a unit test beside the queue).

use crate::support::{Bed, NOW, on_both, run, set, signal, store_signals, tenant, until};
use openevent_store::idempotency::Remembered;
use openevent_store::rates::Count;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test]
async fn notices_come_after_their_commit_and_in_its_order() {
    on_both(async |bed| {
        let notices = bed.store.wake().notices();
        let mut writers = JoinSet::new();
        for n in 0..200 {
            let store = Arc::clone(&bed.store);
            let fill = set(|set| set.add_signal(Arc::new(signal("n", NOW + n))));
            writers.spawn(async move { store.submit(fill).await });
        }

        let (mut last, mut told) = (0, 0);
        while told < 200 {
            for signal in notices.recv_async().await.unwrap().signals {
                let stored = bed.store.signal(&tenant(), &signal.id).await.unwrap();
                let seq = stored.expect("a signal is on disk before it is told").seq;
                assert!(seq > last, "{seq} after {last}");
                (last, told) = (seq, told + 1);
            }
        }

        assert!(writers.join_all().await.iter().all(Result::is_ok));
        assert!(notices.is_empty() && !bed.store.wake().take_missed());
    })
    .await;
}

#[tokio::test]
async fn a_set_that_fails_is_not_told() {
    on_both(async |bed| {
        let notices = bed.store.wake().notices();
        let remembered = Remembered { fingerprint: "f".into(), answer: "{}".into(), created_at: NOW };
        let fill = || {
            set(|set| {
                set.add_run(Arc::new(run("a", NOW)));
                set.remember(&tenant(), "one", &remembered);
            })
        };

        bed.store.submit(fill()).await.unwrap();
        bed.store.submit(fill()).await.unwrap_err();

        assert_eq!(notices.try_iter().map(|notice| notice.runs.len()).sum::<usize>(), 1);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_kept_for_an_engine_that_is_not_there() {
    on_both(async |bed| {
        store_signals(&bed.store, [signal("n", NOW)]).await;

        let notices = bed.store.wake().notices();

        assert!(notices.is_empty() && !bed.store.wake().take_missed());
    })
    .await;
}

#[tokio::test]
async fn a_commit_of_signals_stirs_and_one_of_housekeeping_does_not() {
    let bed = Bed::sqlite().await;
    let mut stirred = bed.store.wake().stirred();
    let count = Count { subject: "s".into(), window_start: NOW, calls: 1 };

    bed.store.submit(set(|set| set.put_count(&count))).await.unwrap();
    let by_housekeeping = stirred.has_changed().unwrap();
    store_signals(&bed.store, [signal("n", NOW)]).await;
    stirred.changed().await.unwrap();

    assert!(!by_housekeeping);
}

#[tokio::test]
async fn a_commit_on_one_node_stirs_the_other() {
    let bed = Bed::postgres().await;
    let other = bed.another().await;
    let stirred = other.wake().stirred();

    // Its first stir says that it listens from now on; those after it are ours.
    until("the other node is stirred", async || {
        store_signals(&bed.store, [signal("n", NOW)]).await;
        (*stirred.borrow() > 1).then_some(())
    })
    .await;

    assert_eq!(other.signals_last().await.unwrap(), bed.store.signals_last().await.unwrap());
}
