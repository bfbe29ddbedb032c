//! Which webhooks want a signal: the store's rows in memory, asked for every signal that passes the spine.
//!
//! Invariant: a book is replaced as a whole and never changed. Where nobody has a webhook, asking costs one atomic read.
//! Not here: sending, secrets, addresses (the delivery room's).

use crate::lifecycle::{PREFIX, is_lifecycle};
use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::id::WebhookId;
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::{DeliveryId, Pattern};
use openevent_flow::Expression;
use openevent_store::deliveries::Status as DeliveryStatus;
use openevent_store::webhooks::{Status, WebhookRecord};
use openevent_store::{Error, NewDelivery, NewSignal, Store};
use parking_lot::RwLock;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Characters of a key; longer ones that begin alike wait for each other.
const LANE_CHARS_MAX: usize = 200;

/// One webhook, ready to be asked.
#[derive(Debug)]
struct Subscription {
    id: WebhookId,
    patterns: Vec<Pattern>,
    /// Asked of the payload of what the patterns want.
    filter: Option<Expression>,
    /// Gives the key of deliveries that go out one after the other.
    fifo_key: Option<Expression>,
    /// Whether what it gets is sent, or held.
    is_active: bool,
}

type Book = HashMap<Tenant, Vec<Subscription>>;

/// The webhooks of all tenants. Cheap to ask, from any thread.
#[derive(Debug)]
pub struct Subscriptions {
    store: Arc<Store>,
    book: RwLock<Arc<Book>>,
    /// The node that sends what is made here; empty while nobody does.
    holder: RwLock<Arc<str>>,
    are_there: AtomicBool,
    hear_lifecycle: AtomicBool,
    /// The store's stamp at the last refresh; held while one is under way.
    stamp: tokio::sync::Mutex<i64>,
}

impl Subscriptions {
    /// Reads the store.
    pub(crate) async fn open(store: Arc<Store>) -> Result<Self, Error> {
        let subscriptions = Self {
            store,
            book: RwLock::default(),
            holder: RwLock::new(Arc::from("")),
            are_there: AtomicBool::default(),
            hear_lifecycle: AtomicBool::default(),
            stamp: tokio::sync::Mutex::default(),
        };
        subscriptions.refresh().await?;
        Ok(subscriptions)
    }

    /// Reads the store again.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut stamp = self.stamp.lock().await;
        self.read(&mut stamp).await
    }

    /// Reads the store again if a webhook was changed, here or by another process. Input-free; call it often.
    pub async fn keep_up(&self) -> Result<(), Error> {
        let mut stamp = self.stamp.lock().await;
        if self.store.webhooks_stamp().await? == *stamp { Ok(()) } else { self.read(&mut stamp).await }
    }

    /// From now on this node sends what is made here; with an empty name, whoever finds it.
    pub fn attend(&self, holder: Arc<str>) {
        *self.holder.write() = holder;
    }

    async fn read(&self, stamp: &mut i64) -> Result<(), Error> {
        // Before the rows: what changes in between is seen as a change next time.
        let now = self.store.webhooks_stamp().await?;
        let mut book = Book::new();
        for record in self.store.all_webhooks().await? {
            let (tenant, subscription) = subscription(record);
            book.entry(tenant).or_default().push(subscription);
        }
        let mut patterns = book.values().flatten().flat_map(|subscription| &subscription.patterns);
        let hears = patterns.any(names_lifecycle);
        let is_empty = book.is_empty();
        *self.book.write() = Arc::new(book);
        self.are_there.store(!is_empty, Ordering::Release);
        self.hear_lifecycle.store(hears, Ordering::Release);
        *stamp = now;
        Ok(())
    }

    /// What a signal makes owed.
    pub(crate) fn owed(
        &self,
        signal: &Arc<NewSignal>,
        chance: &dyn Chance,
        now: Millis,
    ) -> Vec<Arc<NewDelivery>> {
        if !self.are_there.load(Ordering::Acquire) {
            return Vec::new();
        }
        let book = Arc::clone(&self.book.read());
        let Some(subscriptions) = book.get(&signal.tenant) else { return Vec::new() };
        let holder = Arc::clone(&self.holder.read());
        // Read when the first webhook looks into it.
        let payload = OnceCell::new();
        let payload = || payload.get_or_init(|| serde_json::from_str(&signal.payload).unwrap_or_default());
        let wanting = subscriptions.iter().filter(|subscription| {
            subscription.wants(&signal.name)
                && subscription.filter.as_ref().is_none_or(|filter| filter.holds(payload()))
        });
        let delivery = |subscription: &Subscription| {
            let lane = subscription.fifo_key.as_ref().and_then(|key| lane(key, payload()));
            let status = if subscription.is_active { DeliveryStatus::Pending } else { DeliveryStatus::Held };
            // What has to wait for others is taken in hand when its turn comes.
            let is_in_hand = subscription.is_active && lane.is_none();
            let holder = if is_in_hand { Arc::clone(&holder) } else { Arc::from("") };
            Arc::new(NewDelivery {
                id: DeliveryId::mint(now, chance),
                tenant: signal.tenant.clone(),
                webhook_id: subscription.id.clone(),
                signal: Some(Arc::clone(signal)),
                name: signal.name.clone(),
                body: None,
                lane,
                status,
                holder,
                created_at: now,
            })
        };
        wanting.map(delivery).collect()
    }

    /// Whether any webhook of any tenant asks for lifecycle events.
    pub(crate) fn hear_lifecycle(&self) -> bool {
        self.hear_lifecycle.load(Ordering::Acquire)
    }

    /// Whether a webhook of the tenant wants signals of this name.
    pub(crate) fn want(&self, tenant: &Tenant, name: &str) -> bool {
        let book = Arc::clone(&self.book.read());
        book.get(tenant).is_some_and(|all| all.iter().any(|subscription| subscription.wants(name)))
    }
}

impl Subscription {
    fn wants(&self, name: &str) -> bool {
        // Who asks for everything does not ask for what runs live through.
        let is_lifecycle = is_lifecycle(name);
        let asks = |pattern: &&Pattern| !is_lifecycle || names_lifecycle(pattern);
        self.patterns.iter().filter(asks).any(|pattern| pattern.matches(name))
    }
}

fn names_lifecycle(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::All => false,
        Pattern::Prefix(prefix) => prefix.starts_with(PREFIX),
        Pattern::Exact(name) => is_lifecycle(name.as_str()),
    }
}

fn subscription(record: WebhookRecord) -> (Tenant, Subscription) {
    // What is stored was read before it was stored.
    let patterns = record.events.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
    let is_active = record.status == Status::Active;
    let filter = expression(&record.options, "filter");
    let fifo_key = expression(&record.options, "fifoKey");
    (record.tenant, Subscription { id: record.id, patterns, filter, fifo_key, is_active })
}

fn expression(options: &Map<String, Value>, name: &str) -> Option<Expression> {
    options.get(name).and_then(Value::as_str).and_then(|source| Expression::compile(source, &[]).ok())
}

/// The key of a payload as text; what has none is sent without waiting.
fn lane(key: &Expression, payload: &Value) -> Option<String> {
    let text = match key.eval(payload, &[]) {
        Ok(Value::Null) | Err(_) => return None,
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
    };
    // No database of ours stores NUL.
    Some(text.chars().take(LANE_CHARS_MAX).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(patterns: &[&str], name: &str) -> bool {
        let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let id = WebhookId::trusted("wh_1".into());
        Subscription { id, patterns, filter: None, fifo_key: None, is_active: true }.wants(name)
    }

    #[test]
    fn lifecycle_events_are_for_those_who_name_them() {
        let name = "io.serverlessworkflow.workflow.started.v1";
        assert!(wants(&["*"], "order.created") && !wants(&["*", "io.*"], name));
        assert!(wants(&["io.serverlessworkflow.*"], name) && wants(&["x", name], name));
    }
}
