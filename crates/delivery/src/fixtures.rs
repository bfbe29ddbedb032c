//! What the tests of several modules begin with.
//!
//! Invariant: a clock stands still until a test moves it.
//! Not here: assertions.

use openevent_domain::ambient::{Clock, Millis};
use openevent_domain::id::WebhookId;
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::DeliveryId;
use openevent_store::deliveries::{Owed, OwedBody, Status};
use openevent_store::webhooks::{Status as WebhookStatus, WebhookRecord};
use openevent_store::{Location, NewDelivery, Options, Owner, Store, WriteSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Still(pub(crate) AtomicI64);

impl Clock for Still {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) async fn store(location: Location) -> Arc<Store> {
    let options = Options { location, group_max: None };
    Arc::new(Store::open(options, 0, &Owner::default()).await.expect("the store opens"))
}

pub(crate) fn webhook_id() -> WebhookId {
    WebhookId::trusted("wh_1".into())
}

/// Commits an active webhook.
pub(crate) async fn webhook(store: &Store) -> WebhookRecord {
    let record = WebhookRecord {
        id: webhook_id(),
        tenant: Tenant::trusted("t".into()),
        name: "n".into(),
        url: "https://example.com/".into(),
        events: vec!["*".into()],
        options: serde_json::Map::new(),
        status: WebhookStatus::Active,
        failures: 0,
        disabled_at: None,
        disabled_reason: None,
        version: 1,
        created_at: 0,
        updated_at: 0,
    };
    let mut set = WriteSet::new();
    set.add_webhook(&record);
    store.submit(set).await.expect("the webhook is stored");
    record
}

/// Commits a delivery to the webhook, due at 5, in the hand of a node.
pub(crate) async fn owe(store: &Store, n: usize, holder: &str) {
    let mut set = WriteSet::new();
    set.add_delivery(Arc::new(NewDelivery {
        id: DeliveryId::trusted(format!("wh_1_{n}")),
        tenant: Tenant::trusted("t".into()),
        webhook_id: webhook_id(),
        signal: None,
        name: "a".into(),
        body: None,
        lane: None,
        status: Status::Pending,
        holder: holder.into(),
        created_at: 5,
    }));
    store.submit(set).await.expect("the delivery is stored");
}

/// The same delivery as it is read, with another body.
pub(crate) fn owed(n: usize, body: OwedBody) -> Owed {
    Owed {
        id: DeliveryId::trusted(format!("wh_1_{n}")),
        tenant: Tenant::trusted("t".into()),
        webhook_id: webhook_id(),
        signal_id: None,
        name: "a".into(),
        body,
        tries: 0,
        attempts: 0,
    }
}
