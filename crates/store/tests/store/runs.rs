//! Runs and their journals.
//!
//! Invariant: an ended run is nobody's work, a journal's places are taken once.
//! Not here: what groups do to them (`groups.rs`).

use crate::support::{NOW, on_both, run, set, store_runs, stranger, tenant};
use openevent_domain::id::{RunId, SignalId};
use openevent_store::runs::{Ending, Filter, JournalEntry, Place, RunRecord};
use serde_json::json;
use std::sync::Arc;

fn ids(records: &[RunRecord]) -> Vec<RunId> {
    records.iter().map(|record| record.id.clone()).collect()
}

fn done(at: i64) -> Ending<'static> {
    Ending { status: "completed", output: None, error: None, at }
}

#[tokio::test]
async fn a_run_comes_back_as_it_went_in() {
    on_both(async |bed| {
        let mut given = run("confirm", NOW);
        given.event_id = Some(SignalId::trusted("s".into()));
        given.by_events = true;
        given.input = Arc::new(json!([{"type": "order.created"}]));
        store_runs(&bed.store, [given.clone()]).await;

        let found = bed.store.run(&tenant(), &given.id).await.unwrap().unwrap();

        let expected = RunRecord {
            id: given.id.clone(),
            tenant: tenant(),
            namespace: "shop".into(),
            name: "confirm".into(),
            version: "1.0.0".into(),
            definition_hash: "hash".into(),
            semantics: 1,
            event_id: given.event_id.clone(),
            by_events: true,
            input: json!([{"type": "order.created"}]),
            status: "pending".into(),
            output: None,
            error: None,
            started_at: NOW,
            ended_at: None,
            begun_at: None,
            parent: None,
            retries: 0,
            handed_at: None,
        };
        assert_eq!(found, expected);
        assert_eq!(bed.store.run(&stranger(), &given.id).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_run_ends_with_its_output_or_its_error() {
    on_both(async |bed| {
        let stored = store_runs(&bed.store, [run("a", NOW), run("b", NOW)]).await;
        let (output, error) = (json!({"sum": 1.5}), json!({"type": "timeout"}));

        let good = Ending { output: Some(&output), ..done(NOW + 5) };
        let bad = Ending { status: "faulted", error: Some(&error), ..done(NOW + 6) };
        let ends = set(|set| {
            set.end_run(&stored[0], &good);
            set.end_run(&stored[1], &bad);
        });
        bed.store.submit(ends).await.unwrap();

        let first = bed.store.run(&tenant(), &stored[0]).await.unwrap().unwrap();
        let second = bed.store.run(&tenant(), &stored[1]).await.unwrap().unwrap();
        assert_eq!(
            (first.status.as_str(), first.output, first.ended_at),
            ("completed", Some(output), Some(NOW + 5))
        );
        assert_eq!(
            (second.status.as_str(), second.error, second.ended_at),
            ("faulted", Some(error), Some(NOW + 6))
        );
    })
    .await;
}

#[tokio::test]
async fn filters_narrow_a_list_and_its_count() {
    on_both(async |bed| {
        let mut caused = run("b", NOW + 1);
        caused.event_id = Some(SignalId::trusted("s".into()));
        let mut elsewhere = run("b", NOW + 2);
        elsewhere.namespace = "bank".into();
        let mut theirs = run("b", NOW + 3);
        theirs.tenant = stranger();
        let stored = store_runs(&bed.store, [run("a", NOW), caused, elsewhere, theirs]).await;
        bed.store.submit(set(|set| set.end_run(&stored[0], &done(NOW + 9)))).await.unwrap();

        let word = |word: &str| Some(word.to_owned());
        let cases = [
            (Filter::default(), vec![2, 1, 0]),
            (Filter { status: word("completed"), ..Filter::default() }, vec![0]),
            (Filter { status: word("pending"), ..Filter::default() }, vec![2, 1]),
            (Filter { namespace: word("bank"), ..Filter::default() }, vec![2]),
            (Filter { name: word("b"), namespace: word("shop"), ..Filter::default() }, vec![1]),
            (Filter { event_id: Some(SignalId::trusted("s".into())), ..Filter::default() }, vec![1]),
        ];

        for (filter, expected) in cases {
            let found = bed.store.runs(&tenant(), &filter, &Place::Offset(0), 10).await.unwrap();
            let expected: Vec<_> = expected.into_iter().map(|n: usize| stored[n].clone()).collect();
            assert_eq!(ids(&found), expected, "{filter:?}");
            let count = bed.store.runs_count(&tenant(), &filter).await.unwrap();
            assert_eq!(count, expected.len() as i64, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_have_no_duplicate_and_no_gap_while_runs_are_added() {
    on_both(async |bed| {
        let mut stored = store_runs(&bed.store, (0..30).map(|n| run("a", NOW + n / 3))).await;
        let (mut place, mut seen) = (Place::Offset(0), Vec::new());

        loop {
            let found = bed.store.runs(&tenant(), &Filter::default(), &place, 7).await.unwrap();
            let Some(last) = found.last() else { break };
            place = Place::After(last.id.clone());
            seen.extend(ids(&found));
            store_runs(&bed.store, [run("late", NOW + 1_000)]).await;
        }

        stored.reverse();
        assert_eq!(seen, stored);
    })
    .await;
}

#[tokio::test]
async fn a_journal_is_read_in_order() {
    on_both(async |bed| {
        let stored = store_runs(&bed.store, [run("a", NOW), run("b", NOW)]).await;

        for seq in [2, 1, 11, 10] {
            bed.store
                .submit(set(|set| set.append_journal(&stored[0], seq, NOW + seq, format!("{{\"n\":{seq}}}"))))
                .await
                .unwrap();
        }

        let entry = |seq| JournalEntry {
            run_id: stored[0].clone(),
            seq,
            at: NOW + seq,
            input: format!("{{\"n\":{seq}}}"),
        };
        assert_eq!(bed.store.journal(&stored[0]).await.unwrap(), [1, 2, 10, 11].map(entry));
        assert_eq!(bed.store.journal(&stored[1]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn the_engine_finds_what_lives_and_what_nobody_drives() {
    on_both(async |bed| {
        let mut theirs = run("d", NOW + 3);
        theirs.tenant = stranger();
        let given = [run("a", NOW), run("b", NOW + 1), run("c", NOW + 2), theirs];
        let stored = store_runs(&bed.store, given).await;
        let changes = set(|set| {
            for id in &stored {
                set.append_journal(id, 1, NOW, "{}".into());
            }
            set.mark_run(&stored[1], "waiting");
            set.end_run(&stored[2], &done(NOW + 9));
        });
        bed.store.submit(changes).await.unwrap();

        let live = bed.store.live_runs(None, 10).await.unwrap();
        let after_first = bed.store.live_runs(Some(&stored[0]), 1).await.unwrap();
        let pending = bed.store.pending_runs(None, 10).await.unwrap();
        let pending_after = bed.store.pending_runs(Some(&stored[0]), 10).await.unwrap();
        let journals = bed.store.live_journals(&stored[1], &stored[3]).await.unwrap();

        assert_eq!(ids(&live), [0, 1, 3].map(|n: usize| stored[n].clone()));
        assert_eq!(ids(&after_first), stored[1..2]);
        assert_eq!(ids(&pending), [0, 3].map(|n: usize| stored[n].clone()));
        assert_eq!(ids(&pending_after), stored[3..]);
        let owners: Vec<_> = journals.iter().map(|entry| &entry.run_id).collect();
        assert_eq!(owners, [&stored[1], &stored[3]]);
    })
    .await;
}
