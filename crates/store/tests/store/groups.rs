//! Group commit: what waits together commits together, and who fails, fails alone.
//!
//! Invariant: a set is there as a whole or not at all, whoever else was in its transaction.
//! Not here: notices.

use crate::support::{NOW, key, on_both, project, run, set, signal, store_runs, store_signals, tenant};
use openevent_domain::id::{KeyId, SignalId};
use openevent_domain::tenant::Tenant;
use openevent_store::idempotency::Remembered;
use openevent_store::runs::Ending;
use openevent_store::signals::Filter;
use openevent_store::{Error, Location, Options, Owner, Store, WriteSet};
use openevent_testkit::temp_sqlite;
use std::sync::Arc;
use tokio::task::JoinSet;

fn remembered() -> Remembered {
    Remembered { fingerprint: "f".into(), answer: "{}".into(), created_at: NOW }
}

/// Submits all sets at one time; answers what became of each, in order.
async fn together(store: &Arc<Store>, sets: Vec<WriteSet>) -> Vec<Result<(), Error>> {
    let mut writers = JoinSet::new();
    for (n, set) in sets.into_iter().enumerate() {
        let store = Arc::clone(store);
        writers.spawn(async move { (n, store.submit(set).await) });
    }
    let mut done = writers.join_all().await;
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

async fn has(store: &Store, id: &SignalId) -> bool {
    store.signal(&tenant(), id).await.expect("an answer").is_some()
}

#[tokio::test]
async fn sets_submitted_together_all_land() {
    on_both(async |bed| {
        let sets = (0..600).map(|n| set(|set| set.add_signal(Arc::new(signal("n", NOW + n))))).collect();

        let done = together(&bed.store, sets).await;

        assert!(done.iter().all(Result::is_ok));
        assert_eq!(bed.store.signals_count(&tenant(), &Filter::default()).await.unwrap(), 600);
    })
    .await;
}

#[tokio::test]
async fn a_taken_key_fails_its_own_set_only() {
    on_both(async |bed| {
        bed.store.submit(set(|set| set.remember(&tenant(), "taken", &remembered()))).await.unwrap();
        let signals: Vec<_> = (0..100).map(|n| Arc::new(signal("n", NOW + n))).collect();
        let with_key = |(n, signal): (usize, &Arc<_>)| {
            let key = if n % 10 == 3 { "taken".to_owned() } else { format!("free-{n}") };
            set(|set| {
                set.add_signal(Arc::clone(signal));
                set.remember(&tenant(), &key, &remembered());
            })
        };

        let done = together(&bed.store, signals.iter().enumerate().map(with_key).collect()).await;

        for (n, (result, signal)) in done.iter().zip(&signals).enumerate() {
            let taken = matches!(result, Err(Error::Exists { table }) if table == "idempotency");
            assert_eq!(taken, n % 10 == 3, "{n}: {result:?}");
            assert_eq!(has(&bed.store, &signal.id).await, !taken, "{n}");
        }
    })
    .await;
}

#[tokio::test]
async fn of_two_sets_with_one_key_in_a_group_one_lands() {
    on_both(async |bed| {
        let signals: Vec<_> = (0..20).map(|n| Arc::new(signal("n", NOW + n))).collect();
        let rivals = signals.iter().map(|signal| {
            set(|set| {
                set.add_signal(Arc::clone(signal));
                set.remember(&tenant(), "one", &remembered());
            })
        });

        let done = together(&bed.store, rivals.collect()).await;

        assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 1);
        assert_eq!(bed.store.signals_count(&tenant(), &Filter::default()).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_missed_guard_fails_its_own_set_only() {
    on_both(async |bed| {
        let nobody = KeyId::trusted("key_none".into());
        let signals: Vec<_> = (0..60).map(|n| Arc::new(signal("n", NOW + n))).collect();
        let guarded = signals.iter().enumerate().map(|(n, signal)| {
            set(|set| {
                set.add_signal(Arc::clone(signal));
                if n % 7 == 0 {
                    set.revoke_key(&nobody, NOW);
                }
            })
        });

        let done = together(&bed.store, guarded.collect()).await;

        for (n, (result, signal)) in done.iter().zip(&signals).enumerate() {
            assert_eq!(matches!(result, Err(Error::Missed(_))), n % 7 == 0, "{n}: {result:?}");
            assert_eq!(has(&bed.store, &signal.id).await, n % 7 != 0, "{n}");
        }
    })
    .await;
}

#[tokio::test]
async fn groups_that_follow_each_other_closely_do_not_take_each_other_down() {
    const CLIENTS: i64 = 32;
    const ROUNDS: i64 = 30;
    on_both(async |bed| {
        bed.store.submit(set(|set| set.remember(&tenant(), "taken", &remembered()))).await.unwrap();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let store = Arc::clone(&bed.store);
            clients.spawn(async move {
                for round in 0..ROUNDS {
                    let kind = (client * ROUNDS + round) % 13;
                    let result = store
                        .submit(set(|set| {
                            set.add_signal(Arc::new(signal("n", NOW + client * ROUNDS + round)));
                            match kind {
                                3 => set.remember(&tenant(), "taken", &remembered()),
                                5 => set.revoke_key(&KeyId::trusted("key_none".into()), NOW),
                                _ => {}
                            }
                        }))
                        .await;
                    let expected = match &result {
                        Ok(()) => kind != 3 && kind != 5,
                        Err(Error::Exists { .. }) => kind == 3,
                        Err(Error::Missed(_)) => kind == 5,
                        Err(_) => false,
                    };
                    assert!(expected, "{kind}: {result:?}");
                }
            });
        }
        clients.join_all().await;

        let landed = (0..CLIENTS * ROUNDS).filter(|n| ![3, 5].contains(&(n % 13))).count() as i64;
        assert_eq!(bed.store.signals_count(&tenant(), &Filter::default()).await.unwrap(), landed);
    })
    .await;
}

#[tokio::test]
async fn a_refused_row_fails_its_own_set_only() {
    on_both(async |bed| {
        let ids = store_runs(&bed.store, [run("a", NOW), run("b", NOW)]).await;
        let good = set(|set| set.mark_run(&ids[0], "running"));
        let unknown_phase = set(|set| set.mark_run(&ids[1], "dancing"));
        let unknown_project = set(|set| set.add_key(&key(&project("nowhere"), "h")));

        let done = together(&bed.store, vec![good, unknown_phase, unknown_project]).await;

        assert!(done[0].is_ok());
        assert!(matches!(done[1], Err(Error::Refused(_))), "{:?}", done[1]);
        assert!(matches!(done[2], Err(Error::Refused(_))), "{:?}", done[2]);
        assert_eq!(bed.store.run(&tenant(), &ids[0]).await.unwrap().unwrap().status, "running");
    })
    .await;
}

#[tokio::test]
async fn exists_names_the_table() {
    on_both(async |bed| {
        let (one_signal, one_run, home) = (Arc::new(signal("n", NOW)), Arc::new(run("a", NOW)), project("p"));
        let one_key = key(&home, "h");
        let fill = |set: &mut WriteSet, table: &str| match table {
            "signals" => set.add_signal(Arc::clone(&one_signal)),
            "runs" => set.add_run(Arc::clone(&one_run)),
            "journal" => set.append_journal(&one_run.id, 1, NOW, "{}".into()),
            "api_keys" => set.add_key(&one_key),
            _ => set.remember(&tenant(), "k", &remembered()),
        };
        bed.store.submit(set(|set| set.add_project(&home))).await.unwrap();

        for table in ["signals", "runs", "journal", "api_keys", "idempotency"] {
            bed.store.submit(set(|set| fill(set, table))).await.unwrap();
            let again = bed.store.submit(set(|set| fill(set, table))).await;

            assert!(matches!(&again, Err(Error::Exists { table: at }) if at == table), "{table}: {again:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_last_of_two_marks_in_one_set_counts() {
    on_both(async |bed| {
        let ids = store_runs(&bed.store, (0..50).map(|n| run("a", NOW + n))).await;

        bed.store
            .submit(set(|set| {
                for id in &ids {
                    set.mark_run(id, "running");
                }
                for id in &ids {
                    set.mark_run(id, "waiting");
                }
            }))
            .await
            .unwrap();

        for id in &ids {
            assert_eq!(bed.store.run(&tenant(), id).await.unwrap().unwrap().status, "waiting");
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_that_ended_stays_as_it_ended() {
    on_both(async |bed| {
        let ids = store_runs(&bed.store, (0..20).map(|n| run("a", NOW + n))).await;
        let end = |status| Ending { status, output: None, error: None, at: NOW + 9 };

        bed.store
            .submit(set(|set| {
                for id in &ids {
                    set.end_run(id, &end("completed"));
                }
                for id in &ids {
                    set.end_run(id, &end("faulted"));
                }
                for id in &ids {
                    set.mark_run(id, "running");
                }
            }))
            .await
            .unwrap();

        for id in &ids {
            assert_eq!(bed.store.run(&tenant(), id).await.unwrap().unwrap().status, "completed");
        }
    })
    .await;
}

#[tokio::test]
async fn an_empty_set_needs_no_database() {
    on_both(async |bed| {
        let done = bed.store.submit(WriteSet::new()).await;

        assert!(done.is_ok());
        assert!(WriteSet::new().is_empty());
    })
    .await;
}

#[tokio::test]
async fn without_grouping_sets_land_one_by_one() {
    let (file, owner) = (temp_sqlite(), Owner::default());
    let options = Options { location: Location::File(file.path()), group_max: Some(1) };
    let store = Arc::new(Store::open(options, NOW, &owner).await.unwrap());

    let sets = (0..50).map(|n| set(|set| set.add_signal(Arc::new(signal("n", NOW + n)))));
    let done = together(&store, sets.collect()).await;

    assert!(done.iter().all(Result::is_ok));
    assert_eq!(store.signals_last().await.unwrap(), 50);
}

#[tokio::test]
async fn one_set_may_hold_as_many_rows_as_a_batch() {
    on_both(async |bed| {
        let mut other = signal("n", NOW);
        other.tenant = Tenant::trusted("prj_2.live".into());
        store_signals(&bed.store, [other]).await;

        let batch = set(|set| (0..1_000).for_each(|n| set.add_signal(Arc::new(signal("n", NOW + n)))));
        bed.store.submit(batch).await.unwrap();

        assert_eq!(bed.store.signals_count(&tenant(), &Filter::default()).await.unwrap(), 1_000);
    })
    .await;
}
