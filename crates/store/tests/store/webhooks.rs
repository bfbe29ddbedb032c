//! Webhooks and what is owed to them, on both databases.
//!
//! Invariant: of many nodes one has a delivery in hand, and an attempt that came too late changes nothing.
//! Not here: sending.

use crate::support::{Bed, NOW, chance, on_both, set, signal, stranger, tenant};
use openevent_domain::id::WebhookId;
use openevent_domain::webhook::DeliveryId;
use openevent_store::deliveries::{
    Attempt, DeliveryRecord, Filter, OwedBody, Place, Recovery, Settled, Status,
};
use openevent_store::seal::Sealed;
use openevent_store::webhooks::{self, SecretRecord, WebhookRecord};
use openevent_store::{Debts, Error, NewDelivery, NewSignal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn webhook(status: webhooks::Status) -> WebhookRecord {
    WebhookRecord {
        id: WebhookId::mint(NOW, chance()),
        tenant: tenant(),
        name: "hook".into(),
        url: "https://example.com/".into(),
        events: vec!["*".into()],
        options: serde_json::Map::new(),
        status,
        failures: 0,
        disabled_at: None,
        disabled_reason: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn stored(bed: &Bed, status: webhooks::Status) -> WebhookRecord {
    let webhook = webhook(status);
    bed.store.submit(set(|set| set.add_webhook(&webhook))).await.expect("a webhook is stored");
    webhook
}

/// The bed's chance counts in its last bytes only, of which a delivery's id takes none.
fn fresh_id() -> DeliveryId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    DeliveryId::trusted(format!("{}{n:06}", DeliveryId::floor(NOW).as_str()))
}

/// A signal that is owed to a webhook.
async fn owe(bed: &Bed, webhook: &WebhookRecord, holder: &str) -> (Arc<NewSignal>, DeliveryId) {
    let signal = Arc::new(signal("order.paid", NOW));
    let delivery = NewDelivery {
        id: fresh_id(),
        tenant: tenant(),
        webhook_id: webhook.id.clone(),
        signal: Some(Arc::clone(&signal)),
        name: signal.name.clone(),
        body: None,
        lane: None,
        status: Status::Pending,
        holder: holder.into(),
        created_at: NOW,
    };
    let id = delivery.id.clone();
    let owing = set(|set| {
        set.add_signal(Arc::clone(&signal));
        set.add_delivery(Arc::new(delivery));
    });
    bed.store.submit(owing).await.expect("a delivery is stored");
    (signal, id)
}

async fn take(bed: &Bed, webhook: &WebhookRecord, holder: &str, now: i64) -> Vec<DeliveryId> {
    bed.store.take_deliveries(holder, &webhook.id, now, 10).await.expect("taking works");
    let in_hand = bed.store.deliveries_in_hand(holder, &webhook.id, 10).await.expect("reading works");
    in_hand.into_iter().map(|owed| owed.id).collect()
}

async fn settle(bed: &Bed, webhook: &WebhookRecord, id: &DeliveryId, n: i64, status: Status) {
    let attempt = Attempt {
        delivery_id: id.clone(),
        n,
        webhook_id: webhook.id.clone(),
        at: NOW,
        duration_ms: 12,
        status: Some(if status == Status::Delivered { 200 } else { 500 }),
        error: None,
        answer: Some("ok".into()),
    };
    let settled = Settled { status, tries: n, due_at: NOW + 60_000, settled_at: None, reason: None };
    bed.store.submit(set(|set| set.settle_delivery(&attempt, &settled))).await.expect("an attempt is stored");
}

async fn shown(bed: &Bed, webhook: &WebhookRecord, id: &DeliveryId) -> DeliveryRecord {
    bed.store.delivery(&tenant(), &webhook.id, id).await.expect("an answer").expect("a delivery")
}

#[tokio::test]
async fn a_webhook_is_its_owners_and_every_change_moves_the_stamp() {
    on_both(async |bed| {
        let before = bed.store.webhooks_stamp().await.unwrap();
        let webhook = stored(bed, webhooks::Status::Active).await;
        let made = bed.store.webhooks_stamp().await.unwrap();
        let renamed = WebhookRecord { name: "other".into(), version: 2, ..webhook.clone() };
        bed.store.submit(set(|set| set.change_webhook(&renamed, 1))).await.unwrap();
        let late = bed.store.submit(set(|set| set.change_webhook(&renamed, 1))).await;

        assert_eq!(bed.store.webhook(&tenant(), &webhook.id).await.unwrap(), Some(renamed));
        assert_eq!(bed.store.webhook(&stranger(), &webhook.id).await.unwrap(), None);
        assert_eq!(bed.store.webhooks_count(&stranger(), None).await.unwrap(), 0);
        assert!(matches!(late, Err(Error::Missed(_))));
        let changed = bed.store.webhooks_stamp().await.unwrap();
        assert!(before < made && made < changed);
        bed.store.submit(set(|set| set.delete_webhook(&tenant(), &webhook.id, 2))).await.unwrap();
        assert!(bed.store.all_webhooks().await.unwrap().is_empty());
        assert!(bed.store.webhooks_stamp().await.unwrap() > changed);
    })
    .await;
}

#[tokio::test]
async fn failures_are_counted_in_a_row_and_disabling_happens_once() {
    on_both(async |bed| {
        let webhook = stored(bed, webhooks::Status::Active).await;
        let failures = async || bed.store.any_webhook(&webhook.id).await.unwrap().unwrap().failures;
        bed.store.submit(set(|set| set.count_webhook_failures(&webhook.id, 3))).await.unwrap();
        bed.store.submit(set(|set| set.count_webhook_failures(&webhook.id, 1))).await.unwrap();
        assert_eq!(failures().await, 4);
        bed.store.submit(set(|set| set.set_webhook_failures(&webhook.id, 1))).await.unwrap();
        assert_eq!(failures().await, 1);

        bed.store.submit(set(|set| set.disable_webhook(&webhook.id, "why", NOW + 1))).await.unwrap();
        let again = bed.store.submit(set(|set| set.disable_webhook(&webhook.id, "else", NOW + 2))).await;

        assert!(matches!(again, Err(Error::Missed(_))));
        let off = bed.store.any_webhook(&webhook.id).await.unwrap().unwrap();
        assert_eq!(
            (off.status, off.disabled_reason.as_deref(), off.version),
            (webhooks::Status::Disabled, Some("why"), 2)
        );
    })
    .await;
}

#[tokio::test]
async fn secrets_overlap_until_their_time_and_are_re_sealed() {
    on_both(async |bed| {
        let webhook = stored(bed, webhooks::Status::Active).await;
        let secret = |n: i64, at: i64| SecretRecord {
            webhook_id: webhook.id.clone(),
            n,
            tenant: tenant(),
            sealed: Sealed { key_id: format!("key{n}"), text: format!("sealed{n}") },
            created_at: at,
            ends_at: None,
        };
        for (n, at, until) in [(1, NOW, NOW), (2, NOW + 1, NOW + 100), (3, NOW + 2, NOW + 50)] {
            bed.store.submit(set(|set| set.add_webhook_secret(&secret(n, at), until))).await.unwrap();
        }

        let ends = |secrets: Vec<SecretRecord>| -> Vec<_> {
            secrets.iter().map(|one| (one.n, one.ends_at)).collect()
        };
        let all = bed.store.webhook_secrets(&tenant(), &webhook.id).await.unwrap();
        assert_eq!(ends(all.clone()), [(3, None), (2, Some(NOW + 50)), (1, Some(NOW + 50))]);
        assert_eq!(bed.store.secret_key_ids().await.unwrap(), ["key1", "key2", "key3"]);
        let other = Sealed { key_id: "key3".into(), text: "again".into() };
        bed.store.submit(set(|set| set.reseal_webhook_secret(&all[1], &other))).await.unwrap();
        assert_eq!(
            ends(bed.store.webhook_secrets_not_under("key3", 9).await.unwrap()),
            [(1, Some(NOW + 50))]
        );
        bed.store.submit(set(|set| set.add_webhook_secret(&secret(4, NOW + 60), NOW + 90))).await.unwrap();
        assert_eq!(ends(bed.store.all_webhook_secrets().await.unwrap()), [(3, Some(NOW + 90)), (4, None)]);
    })
    .await;
}

#[tokio::test]
async fn a_delivery_is_in_one_hand_and_is_given_back() {
    on_both(async |bed| {
        let webhook = stored(bed, webhooks::Status::Active).await;
        let (signal, mine) = owe(bed, &webhook, "a").await;
        let (_, free) = owe(bed, &webhook, "").await;
        assert_eq!(bed.store.webhooks_owed().await.unwrap(), [(webhook.id.clone(), Some(NOW))]);

        assert!(take(bed, &webhook, "b", NOW - 1).await.is_empty(), "it is not due");
        assert_eq!(take(bed, &webhook, "b", NOW).await, std::slice::from_ref(&free));
        assert_eq!(take(bed, &webhook, "a", NOW).await, std::slice::from_ref(&mine));
        assert_eq!(bed.store.webhooks_owed().await.unwrap(), [(webhook.id.clone(), None)]);
        bed.store.release_deliveries("a").await.unwrap();
        assert_eq!(take(bed, &webhook, "b", NOW).await.len(), 2);
        bed.store.release_deliveries_of_others("c").await.unwrap();
        let owed = {
            take(bed, &webhook, "c", NOW).await;
            bed.store.deliveries_in_hand("c", &webhook.id, 1).await.unwrap()
        };

        assert_eq!(owed[0].body, OwedBody::Signal(NOW, signal.payload.clone()));
        assert_eq!((&owed[0].id, owed[0].signal_id.as_ref()), (&mine, Some(&signal.id)));
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_comes_too_late_changes_nothing() {
    on_both(async |bed| {
        let webhook = stored(bed, webhooks::Status::Active).await;
        let (_, id) = owe(bed, &webhook, "a").await;
        settle(bed, &webhook, &id, 1, Status::Pending).await;
        let waiting = shown(bed, &webhook, &id).await;
        assert_eq!((waiting.status, waiting.due_at, waiting.attempts), (Status::Pending, NOW + 60_000, 1));

        settle(bed, &webhook, &id, 2, Status::Delivered).await;
        settle(bed, &webhook, &id, 2, Status::Failed).await;

        let after = shown(bed, &webhook, &id).await;
        assert_eq!((after.status, after.attempts, after.answered), (Status::Delivered, 2, Some(200)));
        let attempts = bed.store.attempts_of(&tenant(), std::slice::from_ref(&after)).await.unwrap();
        assert_eq!(
            attempts.iter().map(|one| (one.n, one.status)).collect::<Vec<_>>(),
            [(1, Some(500)), (2, Some(200))]
        );
        assert!(bed.store.attempts_of(&stranger(), &[after]).await.unwrap().is_empty());
        assert!(bed.store.webhooks_owed().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_is_owed_to_who_is_not_active_is_held_and_recovered_from_a_time_on() {
    on_both(async |bed| {
        let webhook = stored(bed, webhooks::Status::Active).await;
        let (_, failed) = owe(bed, &webhook, "").await;
        let (_, held) = owe(bed, &webhook, "a").await;
        settle(bed, &webhook, &failed, 1, Status::Failed).await;
        bed.store.submit(set(|set| set.hold_deliveries(&webhook.id, 10))).await.unwrap();
        assert_eq!(shown(bed, &webhook, &held).await.status, Status::Pending, "the webhook is active");
        bed.store.submit(set(|set| set.disable_webhook(&webhook.id, "why", NOW))).await.unwrap();
        bed.store.submit(set(|set| set.hold_deliveries(&webhook.id, 10))).await.unwrap();
        assert_eq!(shown(bed, &webhook, &held).await.status, Status::Held);

        settle(bed, &webhook, &held, 1, Status::Pending).await;
        assert_eq!(shown(bed, &webhook, &held).await.status, Status::Held, "a failure under way stays held");
        let owner = tenant();
        let mut recovery = Recovery { tenant: &owner, webhook_id: &webhook.id, since: NOW, after_seq: 0 };
        let places = bed.store.recoverable(&recovery, 10).await.unwrap();
        assert_eq!(places.len(), 2);
        recovery.after_seq = places[0];
        bed.store.submit(set(|set| set.recover_deliveries(&recovery, places[1], NOW + 5))).await.unwrap();

        let back = shown(bed, &webhook, &held).await;
        assert_eq!((back.status, back.due_at), (Status::Pending, NOW + 5));
        assert_eq!(shown(bed, &webhook, &failed).await.status, Status::Failed);
        let later = Recovery { since: NOW + 1, after_seq: 0, ..recovery };
        assert!(bed.store.recoverable(&later, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_is_owed_to_nobody_is_let_go_of_and_old_deliveries_go_with_their_attempts() {
    on_both(async |bed| {
        let webhook = stored(bed, webhooks::Status::Active).await;
        let (_, id) = owe(bed, &webhook, "").await;
        settle(bed, &webhook, &id, 1, Status::Pending).await;
        bed.store.submit(set(|set| set.skip_deliveries(&webhook.id, 10, NOW))).await.unwrap();
        assert_eq!(shown(bed, &webhook, &id).await.status, Status::Pending);
        bed.store.submit(set(|set| set.delete_webhook(&tenant(), &webhook.id, 1))).await.unwrap();
        bed.store.submit(set(|set| set.skip_deliveries(&webhook.id, 10, NOW))).await.unwrap();
        let gone = shown(bed, &webhook, &id).await;
        assert_eq!(gone.status, Status::Skipped);

        assert!(!bed.store.retire_deliveries(NOW).await.unwrap(), "they are not older than that");
        assert!(bed.store.retire_deliveries(NOW + 1_000).await.unwrap());

        assert!(bed.store.attempts_of(&tenant(), &[gone]).await.unwrap().is_empty());
        let left = bed.store.deliveries(&tenant(), &Filter::default(), Place::Offset(0), 9).await.unwrap();
        assert_eq!(left, []);
    })
    .await;
}

#[tokio::test]
async fn the_sender_is_told_of_what_it_has_in_hand_after_the_commit() {
    on_both(async |bed| {
        let debts = bed.store.wake().debts();
        let webhook = stored(bed, webhooks::Status::Active).await;
        let (_, mine) = owe(bed, &webhook, "a").await;
        owe(bed, &webhook, "").await;

        let told: Vec<Debts> = debts.drain().collect();

        assert_eq!(told.iter().map(|one| one.webhooks_changed).collect::<Vec<_>>(), [true, false]);
        assert_eq!(told[1].deliveries.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [mine]);
        assert!(!bed.store.wake().take_debts_missed());
    })
    .await;
}
