//! Runs with long journals.
//!
//! Invariant: however long a run, what is stored of its past is bounded, and going on from it gives the same.
//! Not here: what a snapshot holds (`flow`).

use crate::support::{on_both, tenant, until, workflow};
use openevent_domain::id::RunId;
use openevent_engine::Past;
use openevent_store::Faults;
use serde_json::json;

/// A loop that makes this many calls.
fn counting(calls: usize) -> String {
    format!(
        "do:\n- all:\n    for: {{ each: n, in: '${{ [range({calls})] }}' }}\n    do:\n    - ask:\n        call: http\n        with: {{ method: get, endpoint: 'http://localhost/' }}\n    - note:\n        set: {{ n: '${{ $n }}' }}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_many_thousand_tasks_keeps_a_short_journal_over_a_restart() {
    on_both(async |bed| {
        const CALLS: usize = 6_000;
        bed.load(&[&workflow("long", "{ type: go }", &counting(CALLS))]).await;
        let node = bed.node_without_network().await;
        let run = node.start_run("go", json!({})).await;
        let seq = async || bed.witness.snapshot(&run).await.unwrap().map_or(0, |snapshot| snapshot.seq);
        until("a snapshot is made", async || (seq().await > 0).then_some(())).await;
        node.stop().await;
        let at_restart = Past::read(&bed.witness, &run).await.unwrap().last_seq();

        let _node = bed.node_without_network().await;
        let ended = bed.ended(&run).await;

        assert!((1_000..CALLS as i64).contains(&at_restart), "{at_restart}");
        assert_eq!((ended.status.as_str(), ended.output), ("completed", Some(json!({"n": CALLS - 1}))));
        let past = Past::read(&bed.witness, &run).await.unwrap();
        assert_eq!(past.last_seq(), CALLS as i64);
        let left = bed.witness.journal(&run).await.unwrap().len();
        assert!(left < 4_000, "{left} entries are left");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_fails_or_whose_answer_is_lost_harms_nothing() {
    on_both(async |bed| {
        const CALLS: usize = 1_400;
        bed.load(&[&workflow("long", "{ type: go }", &counting(CALLS))]).await;
        let node = bed.node_without_network().await;
        let seq =
            async |run: &RunId| bed.witness.journal(run).await.unwrap().last().map_or(0, |entry| entry.seq);
        for (n, arm) in [Faults::arm, Faults::arm_answer, Faults::arm].into_iter().enumerate() {
            let run = node.start_run("go", json!({})).await;
            until("the snapshot is near", async || (seq(&run).await > 900).then_some(())).await;
            // The reads, the fold's write and the turns meanwhile: one of the next calls fails.
            for strike in 1..6 {
                arm(node.store.faults(), strike + n as i64);
                until("the fault strikes or the run ends", async || {
                    let found = bed.witness.run(&tenant(), &run).await.unwrap().unwrap();
                    (found.ended_at.is_some() || !node.store.faults().is_armed()).then_some(())
                })
                .await;
            }
            arm(node.store.faults(), 0);

            let ended = bed.ended(&run).await;

            assert_eq!((ended.status.as_str(), ended.output), ("completed", Some(json!({"n": CALLS - 1}))));
        }
    })
    .await;
}
