//! Unusual text: NUL, escapes, emoji, a megabyte.
//!
//! Invariant: what one database stores or refuses, the other does too.
//! Not here: usual text.

use crate::support::{NOW, on_both, set, signal, store_signals, tenant};
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::tenant::Tenant;
use openevent_store::event_types::EventType;
use openevent_store::signals::{Filter, Order, Place};
use openevent_store::{Error, NewSignal, runs};
use serde_json::{Value, json};

async fn survives(payload: Value) {
    on_both(async |bed| {
        let given = NewSignal { payload: payload.to_string(), ..signal("n", NOW) };
        let stored = store_signals(&bed.store, [given]).await;

        let found = bed.store.signal(&tenant(), &stored[0]).await.expect("an answer").expect("a row");

        assert!(found.payload == payload, "the payload changed on its way");
    })
    .await;
}

#[tokio::test]
async fn an_escaped_nul_in_a_payload_survives() {
    survives(json!({"a\0b": "c\0d"})).await;
}

#[tokio::test]
async fn emoji_quotes_and_line_ends_survive() {
    survives(json!({"🎟️": "👩‍👩‍👧 it's \"so\" \\ \r\n\u{2028}\u{feff} $1 ' -- ;"})).await;
}

#[tokio::test]
async fn a_megabyte_survives() {
    survives(json!({"text": "ü\\".repeat(1024 * 1024 / 4)})).await;
}

#[tokio::test]
async fn deep_and_large_numbers_survive() {
    let mut nested = json!([9_007_199_254_740_993_i64, u64::MAX, -0.5, 1e300]);
    for _ in 0..62 {
        nested = json!([nested]);
    }
    survives(json!({ "deep": nested })).await;
}

#[tokio::test]
async fn a_nul_in_a_filter_finds_nothing() {
    on_both(async |bed| {
        store_signals(&bed.store, [signal("a", NOW)]).await;
        let filter = Filter { name: Some("a\0".into()), ..Filter::default() };
        let of_runs = runs::Filter { status: Some("\0".into()), ..runs::Filter::default() };
        let nobody = Tenant::trusted("\0".into());

        let store = &bed.store;
        let listed =
            store.signals(&tenant(), &filter, Order::NewestFirst, Place::Offset(0), 9).await.unwrap();
        let listed_runs = store.runs(&tenant(), &of_runs, &runs::Place::Offset(0), 9).await.unwrap();

        assert!(listed.is_empty() && listed_runs.is_empty());
        assert_eq!(store.signals_count(&tenant(), &filter).await.unwrap(), 0);
        assert_eq!(store.runs_count(&tenant(), &of_runs).await.unwrap(), 0);
        assert_eq!(store.signal(&tenant(), &SignalId::trusted("\0".into())).await.unwrap(), None);
        assert_eq!(store.run(&nobody, &RunId::trusted("r".into())).await.unwrap(), None);
        assert_eq!(store.key_by_hash("\0").await.unwrap(), None);
        assert_eq!(store.recall(&tenant(), "\0", NOW).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_raw_nul_is_refused_alike() {
    on_both(async |bed| {
        let described = EventType {
            name: "n".into(),
            description: Some("a\0b".into()),
            schema: None,
            example: None,
            created_at: NOW,
            updated_at: NOW,
        };

        let in_a_statement = bed.store.submit(set(|set| set.put_event_type(&tenant(), &described))).await;
        let in_a_row = bed.store.submit(set(|set| set.add_signal(signal("a\0", NOW).into()))).await;

        assert!(matches!(in_a_statement, Err(Error::Refused(_))), "{in_a_statement:?}");
        assert!(matches!(in_a_row, Err(Error::Refused(_))), "{in_a_row:?}");
        assert_eq!(bed.store.signals_last().await.unwrap(), 0);
    })
    .await;
}
