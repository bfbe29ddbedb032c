//! What some runs have beside their journal: snapshots, parents, schedules, kept events, gates.
//!
//! Invariant: whatever two engines may both try to write, one of them is refused.
//! Not here: what the engine does with it.

use crate::support::{NOW, chance, on_both, run, set, store_runs, stranger, tenant};
use openevent_domain::id::{RunId, SignalId};
use openevent_store::gathered::GatheredEvent;
use openevent_store::runs::Ending;
use openevent_store::schedules::ScheduleRecord;
use openevent_store::snapshots::{PLACES_KEPT, Snapshot};
use openevent_store::{Error, Parent, Path};
use serde_json::json;
use std::sync::Arc;

fn path() -> Path {
    Path { tenant: tenant(), namespace: "shop".into(), name: "digest".into() }
}

fn snapshot(run: &RunId, seq: i64) -> Snapshot {
    Snapshot { run_id: run.clone(), seq, state: format!("{{\"seq\":{seq}}}") }
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_entries_and_nobody_writes_where_they_were() {
    on_both(async |bed| {
        let id = store_runs(&bed.store, [run("long", NOW)]).await.remove(0);
        let last = PLACES_KEPT + 20;
        let all = set(|set| (1..=last).for_each(|seq| set.append_journal(&id, seq, NOW, "{}".into())));
        bed.store.submit(all).await.unwrap();

        bed.store.submit(set(|set| set.put_snapshot(&snapshot(&id, last - 5)))).await.unwrap();
        let older = bed.store.submit(set(|set| set.put_snapshot(&snapshot(&id, last - 6)))).await;

        let rest: Vec<i64> = bed.store.journal(&id).await.unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(rest, (last - 4..=last).collect::<Vec<_>>());
        assert_eq!(bed.store.snapshot(&id).await.unwrap(), Some(snapshot(&id, last - 5)));
        assert_eq!(bed.store.live_snapshots(&id, &id).await.unwrap(), [snapshot(&id, last - 5)]);
        assert!(matches!(older, Err(Error::Missed(_))), "{older:?}");
        for taken in [1, PLACES_KEPT, PLACES_KEPT + 1, last - 5, last] {
            let again = bed.store.submit(set(|set| set.append_journal(&id, taken, NOW, "{}".into()))).await;
            assert!(matches!(again, Err(Error::Missed(_) | Error::Exists { .. })), "{taken}: {again:?}");
        }
        bed.store.submit(set(|set| set.append_journal(&id, last + 1, NOW, "{}".into()))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_faulted_run_is_reopened_once() {
    on_both(async |bed| {
        let id = store_runs(&bed.store, [run("order", NOW)]).await.remove(0);
        let error = json!({"status": 500});
        let bad = Ending { status: "faulted", output: None, error: Some(&error), at: NOW + 1 };
        bed.store.submit(set(|set| set.end_run(&id, &bad))).await.unwrap();

        let theirs = bed.store.submit(set(|set| set.reopen_run(&stranger(), &id, NOW + 1))).await;
        let first = bed.store.submit(set(|set| set.reopen_run(&tenant(), &id, NOW + 1))).await;
        let second = bed.store.submit(set(|set| set.reopen_run(&tenant(), &id, NOW + 1))).await;

        assert!(matches!((&theirs, &first, &second), (Err(Error::Missed(_)), Ok(()), Err(Error::Missed(_)))));
        let found = bed.store.any_run(&id).await.unwrap().unwrap();
        assert_eq!(
            (found.status.as_str(), found.error, found.ended_at, found.retries),
            ("pending", None, None, 1)
        );
    })
    .await;
}

#[tokio::test]
async fn an_operation_has_one_child() {
    on_both(async |bed| {
        let above = store_runs(&bed.store, [run("order", NOW)]).await.remove(0);
        let child = || {
            let parent = Parent { run: above.clone(), op: 7, depth: 1, quiet: true };
            Arc::new(openevent_store::NewRun { parent: Some(parent), ..run("refund", NOW + 1) })
        };
        let first = child();

        bed.store.submit(set(|set| set.add_run(Arc::clone(&first)))).await.unwrap();
        let second = bed.store.submit(set(|set| set.add_run(child()))).await;

        assert!(matches!(second, Err(Error::Exists { .. })), "{second:?}");
        let found = bed.store.child(&above, 7).await.unwrap().unwrap();
        assert_eq!((found.id, found.parent), (first.id.clone(), first.parent.clone()));
        assert_eq!(bed.store.child(&above, 8).await.unwrap(), None);
        assert_eq!(bed.store.live_count(&tenant(), "shop", "refund", None).await.unwrap(), 1);
        assert_eq!(bed.store.live_count(&stranger(), "shop", "refund", None).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_due_time_is_left_once() {
    on_both(async |bed| {
        let schedule = |hash: &str, next_at| ScheduleRecord {
            path: path(),
            version: "1.0.0".into(),
            definition_hash: hash.into(),
            since: NOW,
            next_at,
        };
        let due = schedule("a", Some(NOW + 10));
        bed.store.submit(set(|set| set.put_schedule(&due))).await.unwrap();
        bed.store.submit(set(|set| set.put_schedule(&schedule("a", Some(NOW + 99))))).await.unwrap();

        let first = bed.store.submit(set(|set| set.move_schedule(&due, NOW + 10, Some(NOW + 20)))).await;
        let second = bed.store.submit(set(|set| set.move_schedule(&due, NOW + 10, Some(NOW + 20)))).await;

        assert!(first.is_ok() && matches!(second, Err(Error::Missed(_))), "{first:?} {second:?}");
        assert_eq!(bed.store.schedules().await.unwrap(), [schedule("a", Some(NOW + 20))]);
        let put = |next_at| set(|set| set.put_schedule(&schedule("b", next_at)));
        bed.store.submit(put(None)).await.unwrap();
        bed.store.submit(set(|set| set.schedule_after(&path(), "a", NOW + 30))).await.unwrap();
        assert_eq!(bed.store.schedule(&tenant(), "shop", "digest").await.unwrap(), Some(schedule("b", None)));
        bed.store.submit(set(|set| set.schedule_after(&path(), "b", NOW + 30))).await.unwrap();
        let after = bed.store.schedule(&tenant(), "shop", "digest").await.unwrap();
        assert_eq!(after, Some(schedule("b", Some(NOW + 30))));
        bed.store.submit(set(|set| set.delete_schedule(&path()))).await.unwrap();
        assert_eq!(bed.store.schedules().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_kept_event_is_spent_once() {
    on_both(async |bed| {
        let kept = |n: i64| GatheredEvent {
            path: path(),
            signal_id: SignalId::mint(NOW + n, chance()),
            received_at: NOW + n,
            event: Arc::new(json!({"n": n})),
        };
        let (later, sooner) = (kept(2), kept(1));
        for event in [&later, &sooner] {
            bed.store.submit(set(|set| set.keep_event(event))).await.unwrap();
        }
        assert_eq!(bed.store.gathered_events(&path()).await.unwrap(), [sooner.clone(), later.clone()]);
        assert_eq!(bed.store.gathering().await.unwrap(), [path()]);

        let spend = || set(|set| set.spend_event(&path(), &sooner.signal_id));
        let (first, second) = (bed.store.submit(spend()).await, bed.store.submit(spend()).await);

        assert!(first.is_ok() && matches!(second, Err(Error::Missed(_))), "{first:?} {second:?}");
        assert_eq!(bed.store.gathered_events(&path()).await.unwrap(), [later]);
        bed.store.submit(set(|set| set.forget_events(&path()))).await.unwrap();
        assert_eq!(bed.store.gathering().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_run_is_let_in_or_turned_away_once() {
    on_both(async |bed| {
        let stored =
            store_runs(&bed.store, [run("digest", NOW), run("digest", NOW), run("digest", NOW)]).await;
        let let_in = |n: usize, at| {
            let id = stored[n].clone();
            set(move |set| set.let_in(&id, at, "{}"))
        };
        let error = json!({"title": "one too many"});

        bed.store.submit(let_in(0, NOW + 1)).await.unwrap();
        bed.store.submit(let_in(1, NOW + 2)).await.unwrap();
        bed.store.submit(set(|set| set.turn_away(&stored[2], Some(&error), NOW + 3))).await.unwrap();

        for again in [0, 2] {
            let refused = bed.store.submit(let_in(again, NOW + 9)).await;
            assert!(matches!(refused, Err(Error::Missed(_))), "{refused:?}");
        }
        let begun = bed.store.begun_since(&path(), NOW + 2, 10).await.unwrap();
        assert_eq!(begun.iter().map(|one| &one.id).collect::<Vec<_>>(), [&stored[1]]);
        let away = bed.store.any_run(&stored[2]).await.unwrap().unwrap();
        assert_eq!(
            (away.status.as_str(), away.error, away.ended_at),
            ("cancelled", Some(error), Some(NOW + 3))
        );
    })
    .await;
}
