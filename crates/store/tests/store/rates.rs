//! Calls that nodes lease of one window.
//!
//! Invariant: of one window no more is lent than its limit, whoever asks, and in what order.
//! Not here: how much a node asks for (the server's).

use crate::support::{Bed, NOW, set};
use openevent_store::Store;
use openevent_store::rates::{Ask, Count};
use tokio::task::JoinSet;

const HOUR_MS: i64 = 3_600_000;

fn ask(subject: &str, window_start: i64, wanted: i64) -> Ask {
    Ask { subject: subject.into(), window_start, wanted, calls_max: 100 }
}

/// What is lent of one subject: granted, and what all have by then.
async fn lend(store: &Store, ask: Ask) -> (i64, i64, i64) {
    let lent = store.lend_calls(vec![ask]).await.expect("an answer").remove(0);
    (lent.window_start, lent.granted, lent.calls)
}

fn count(window_start: i64, calls: i64) -> Count {
    Count { subject: "a".into(), window_start, calls }
}

#[tokio::test]
async fn a_window_lends_its_limit_and_the_next_begins_anew() {
    let bed = Bed::postgres().await;
    let store = &bed.store;

    assert_eq!(lend(store, ask("a", NOW, 60)).await, (NOW, 60, 60));
    assert_eq!(lend(store, ask("a", NOW, 60)).await, (NOW, 40, 100));
    assert_eq!(lend(store, ask("a", NOW, 60)).await, (NOW, 0, 100));
    assert_eq!(lend(store, ask("b", NOW, 300)).await, (NOW, 100, 100), "no more than the limit at once");
    let next = NOW + HOUR_MS;
    assert_eq!(lend(store, ask("a", next, 3)).await, (next, 3, 3));
    assert_eq!(lend(store, ask("a", NOW, 3)).await, (next, 3, 6), "a slow clock goes by the others'");
    assert_eq!(
        lend(store, Ask { calls_max: 4, ..ask("a", next, 1) }).await,
        (next, 0, 6),
        "a lower limit holds"
    );
}

#[tokio::test]
async fn what_is_told_later_or_given_back_counts_in_its_window_only() {
    let bed = Bed::postgres().await;
    let store = &bed.store;
    let add = async |count| store.submit(set(|set| set.add_calls(&count))).await.unwrap();
    lend(store, ask("a", NOW, 50)).await;

    add(count(NOW, 30)).await;
    add(count(NOW, -5)).await;
    assert_eq!(lend(store, ask("a", NOW, 1)).await, (NOW, 1, 76));

    let next = NOW + HOUR_MS;
    add(count(next, 7)).await;
    add(count(NOW, -20)).await;
    assert_eq!(lend(store, ask("a", next, 1)).await, (next, 1, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn many_who_ask_at_once_get_the_limit_together() {
    let bed = Bed::postgres().await;
    let mut asking = JoinSet::new();
    for node in 0..3 {
        let store = bed.another().await;
        asking.spawn(async move {
            let mut granted = 0;
            for n in 0..40 {
                let (first, second) = (ask("a", NOW, 1 + n % 5), ask("b", NOW, 1 + (n + node) % 7));
                let asks = if n % 2 == 0 { vec![first, second] } else { vec![second, first] };
                let lent = store.lend_calls(asks).await.expect("nobody blocks another");
                granted += lent.iter().map(|lent| lent.granted).sum::<i64>();
            }
            granted
        });
    }

    assert_eq!(asking.join_all().await.iter().sum::<i64>(), 200);
}

#[tokio::test]
async fn a_file_lends_nothing() {
    let bed = Bed::sqlite().await;

    assert!(bed.store.lend_calls(vec![ask("a", NOW, 1)]).await.is_err());
}
