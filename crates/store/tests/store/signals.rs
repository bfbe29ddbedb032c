//! Signals: stored whole, listed in order, page by page.
//!
//! Invariant: a page begins where the last one ended, whatever is added meanwhile.
//! Not here: unusual text (`text.rs`), retention (`keeping.rs`).

use crate::support::{NOW, on_both, signal, started, store_signals, stranger, tenant};
use openevent_domain::id::SignalId;
use openevent_domain::signal::Attributes;
use openevent_store::signals::{Filter, Order, Place, SignalRecord};
use openevent_store::{Store, TriggerRecord};

async fn page(store: &Store, filter: &Filter, order: Order, place: Place) -> Vec<SignalRecord> {
    store.signals(&tenant(), filter, order, place, 7).await.expect("a page")
}

fn ids(records: &[SignalRecord]) -> Vec<SignalId> {
    records.iter().map(|record| record.id.clone()).collect()
}

#[tokio::test]
async fn a_signal_comes_back_as_it_went_in() {
    on_both(async |bed| {
        let mut given = signal("order.created", NOW);
        given.attributes = Attributes(serde_json::from_str(r#"{"source":"/shop","subject":"7"}"#).unwrap());
        given.replay_of = Some(SignalId::trusted("earlier".into()));
        given.triggers = vec![
            started("shop/confirm"),
            TriggerRecord { workflow: "shop/big".into(), matched: false, reason: Some("data.total".into()) },
        ];
        store_signals(&bed.store, [given.clone()]).await;

        let found = bed.store.signal(&tenant(), &given.id).await.unwrap().unwrap();

        let expected = SignalRecord {
            seq: 1,
            id: given.id.clone(),
            tenant: tenant(),
            name: "order.created".into(),
            payload: serde_json::json!({"orderId": 7}),
            attributes: given.attributes.clone(),
            received_at: NOW,
            matched: true,
            replay_of: given.replay_of.clone(),
            triggers: given.triggers.clone(),
        };
        assert_eq!(found, expected);
        assert_eq!(bed.store.signal(&stranger(), &given.id).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn filters_narrow_a_list_and_its_count() {
    on_both(async |bed| {
        let mut matched = signal("a", NOW + 2);
        matched.triggers = vec![started("shop/confirm")];
        let mut theirs = signal("a", NOW + 2);
        theirs.tenant = stranger();
        let ours = [signal("a", NOW), signal("b", NOW + 1), matched, signal("a", NOW + 3)];
        let stored = store_signals(&bed.store, ours.into_iter().chain([theirs])).await;

        let name = || Some("a".to_owned());
        let cases = [
            (Filter::default(), vec![3, 2, 1, 0]),
            (Filter { name: name(), ..Filter::default() }, vec![3, 2, 0]),
            (Filter { from: Some(NOW + 1), to: Some(NOW + 2), ..Filter::default() }, vec![2, 1]),
            (Filter { matched: Some(true), ..Filter::default() }, vec![2]),
            (Filter { name: name(), matched: Some(false), from: Some(NOW + 1), to: None }, vec![3]),
            (Filter { name: Some("c".into()), ..Filter::default() }, vec![]),
        ];

        for (filter, expected) in cases {
            let found = page(&bed.store, &filter, Order::NewestFirst, Place::Offset(0)).await;
            let expected: Vec<_> = expected.into_iter().map(|n: usize| stored[n].clone()).collect();
            assert_eq!(ids(&found), expected, "{filter:?}");
            let count = bed.store.signals_count(&tenant(), &filter).await.unwrap();
            assert_eq!(count, expected.len() as i64, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_offset_skips_rows() {
    on_both(async |bed| {
        let stored = store_signals(&bed.store, (0..10).map(|n| signal("n", NOW + n))).await;

        let newest = page(&bed.store, &Filter::default(), Order::NewestFirst, Place::Offset(7)).await;
        let oldest = page(&bed.store, &Filter::default(), Order::OldestFirst, Place::Offset(7)).await;

        assert_eq!(ids(&newest), [&stored[2], &stored[1], &stored[0]].map(Clone::clone));
        assert_eq!(ids(&oldest), stored[7..]);
    })
    .await;
}

/// Reads a list to its end by keyset, storing `between` after each page.
async fn walk(store: &Store, order: Order, between: impl Fn(i64) -> i64) -> Vec<SignalId> {
    let (mut place, mut seen, mut pages) = (Place::Offset(0), Vec::new(), 0);
    loop {
        let found = page(store, &Filter::default(), order, place).await;
        let Some(last) = found.last() else { return seen };
        place = Place::After(last.received_at, last.seq);
        seen.extend(ids(&found));
        pages += 1;
        if pages < 6 {
            store_signals(store, [signal("late", between(pages)), signal("late", between(pages))]).await;
        }
    }
}

#[tokio::test]
async fn pages_newest_first_have_no_duplicate_and_no_gap_while_rows_are_added() {
    on_both(async |bed| {
        // Three of each millisecond: the time alone does not order them.
        let mut stored = store_signals(&bed.store, (0..40).map(|n| signal("n", NOW + n / 3))).await;

        let seen = walk(&bed.store, Order::NewestFirst, |page| NOW + 1_000 + page).await;

        stored.reverse();
        assert_eq!(seen, stored);
    })
    .await;
}

#[tokio::test]
async fn pages_oldest_first_go_on_into_what_was_added() {
    on_both(async |bed| {
        let stored = store_signals(&bed.store, (0..40).map(|n| signal("n", NOW + n / 3))).await;

        let seen = walk(&bed.store, Order::OldestFirst, |page| NOW + 1_000 + page).await;

        assert_eq!(seen[..40], stored);
        assert_eq!(seen.len(), 50);
    })
    .await;
}

#[tokio::test]
async fn the_log_is_followed_by_place_and_tenant() {
    on_both(async |bed| {
        let mut theirs = signal("n", NOW);
        theirs.tenant = stranger();
        let stored = store_signals(&bed.store, [signal("n", NOW), theirs, signal("n", NOW - 5)]).await;

        let ours = bed.store.signals_after(&tenant(), 1, 10).await.unwrap();
        let all = bed.store.all_signals_after(0, 2).await.unwrap();

        assert_eq!(ids(&ours), stored[2..]);
        assert_eq!(ids(&all), stored[..2]);
        assert_eq!(bed.store.signals_last().await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn look_back_reads_one_name_or_any_since_a_time() {
    on_both(async |bed| {
        let given = [signal("a", NOW), signal("a", NOW + 10), signal("b", NOW + 11), signal("a", NOW + 12)];
        let stored = store_signals(&bed.store, given).await;

        let one_name = bed.store.signals_since(&tenant(), Some("a"), NOW + 10, 100).await.unwrap();
        let any = bed.store.signals_since(&tenant(), None, NOW + 10, 2).await.unwrap();

        assert_eq!(ids(&one_name), [stored[1].clone(), stored[3].clone()]);
        assert_eq!(ids(&any), stored[1..3]);
    })
    .await;
}

#[tokio::test]
async fn an_empty_log_ends_at_zero() {
    on_both(async |bed| {
        assert_eq!(bed.store.signals_last().await.unwrap(), 0);
        assert_eq!(bed.store.signals_count(&tenant(), &Filter::default()).await.unwrap(), 0);
        assert_eq!(bed.store.cursor("engine").await.unwrap(), None);
    })
    .await;
}
