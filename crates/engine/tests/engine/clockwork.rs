//! Workflows that the clock starts.
//!
//! Invariant: one start for each due time, and one for all that were missed.
//! Not here: computing times (`flow`).

use crate::support::{Bed, on_both, tenant, until};
use openevent_store::Faults;
use openevent_store::schedules::ScheduleRecord;

fn digest(schedule: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.0', namespace: shop, name: digest, version: '1.0.0' }}\nschedule: {schedule}\ndo:\n- note:\n    set: {{ done: true }}\n"
    )
}

async fn stored(bed: &Bed) -> Option<ScheduleRecord> {
    bed.witness.schedule(&tenant(), "shop", "digest").await.expect("an answer")
}

async fn next(bed: &Bed) -> i64 {
    until("the next start is known", async || stored(bed).await.and_then(|record| record.next_at)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_due_time_starts_one_run_and_missed_ones_start_one_together() {
    on_both(async |bed| {
        bed.load(&[&digest("{ every: { hours: 1 } }")]).await;
        let node = bed.node().await;
        let first = next(bed).await;
        bed.clock.advance(3_600_000);
        let once = bed.all_ended("digest", 1).await;
        let second = next(bed).await;
        node.stop().await;
        bed.clock.advance(5 * 3_600_000);

        let _node = bed.node().await;
        let ended = bed.all_ended("digest", 2).await;

        assert_eq!((once.len(), second - first), (1, 3_600_000));
        assert_eq!((next(bed).await - first) % 3_600_000, 0);
        assert_eq!(ended.len(), 2);
        assert_eq!(ended[1].input, serde_json::json!({}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_starts_at_once_and_then_a_while_after_each_end() {
    on_both(async |bed| {
        bed.load(&[&digest("{ after: { minutes: 10 } }")]).await;
        let _node = bed.node().await;

        let first = bed.all_ended("digest", 1).await.remove(0);
        let due = next(bed).await;
        bed.clock.advance(600_000);
        let ended = bed.all_ended("digest", 2).await;

        assert_eq!(due, first.ended_at.unwrap() + 600_000);
        assert!(ended.len() == 2 && ended[1].started_at >= due, "{ended:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_definition_has_its_own_times_and_a_removed_one_none() {
    on_both(async |bed| {
        bed.load(&[&digest("{ every: { hours: 1 } }")]).await;
        let node = bed.node().await;
        let hourly = next(bed).await;

        bed.load(&[&digest("{ every: { hours: 2 } }")]).await;
        node.engine.registry().refresh().await.unwrap();
        until("the schedule is replaced", async || (next(bed).await != hourly).then_some(())).await;
        let two_hourly = next(bed).await;
        bed.unload("digest").await;
        node.engine.registry().refresh().await.unwrap();
        until("the schedule is gone", async || stored(bed).await.is_none().then_some(())).await;
        bed.clock.advance(10 * 3_600_000);

        assert_eq!(two_hourly - hourly, 3_600_000);
        assert_eq!(bed.runs_of("digest").await.len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_due_time_starts_one_run_whichever_call_fails_or_answer_is_lost() {
    on_both(async |bed| {
        bed.load(&[&digest("{ every: { hours: 1 } }")]).await;
        let node = bed.node().await;
        next(bed).await;
        let mut rounds = 0;
        for arm in [Faults::arm, Faults::arm_answer] {
            for strike in 1..=5 {
                let due = next(bed).await;
                arm(node.store.faults(), strike);
                bed.clock.advance(3_600_000);
                rounds += 1;
                let ended = bed.all_ended("digest", rounds).await;
                until("the schedule moves on", async || (next(bed).await > due).then_some(())).await;
                arm(node.store.faults(), 0);
                assert_eq!(ended.len(), rounds, "after strike {strike}");
            }
        }
        assert_eq!(bed.runs_of("digest").await.len(), rounds);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_engines_one_starts_what_is_due_also_when_the_other_took_over() {
    let bed = Bed::postgres().await;
    bed.load(&[&digest("{ every: { hours: 1 } }")]).await;
    let first = bed.node().await;
    next(&bed).await;
    let second = bed.node_elsewhere().await;

    bed.clock.advance(3_600_000);
    second.clock.advance(3_600_000);
    bed.all_ended("digest", 1).await;
    first.stop().await;
    second.clock.advance(3_600_000);
    let ended = bed.all_ended("digest", 2).await;

    assert_eq!(ended.len(), 2);
}
