//! The look at what is owed: to whom, since when, by whom, and whether it still should be.
//!
//! Invariant: input-free and repeatable on any number of nodes. What is owed to a webhook that is not active is held,
//! to one that is gone let go of, and what a node that died had in hand is given back.
//! Not here: sending.

use crate::book::Book;
use crate::keys::Keys;
use crate::record::HELD_AT_ONCE;
use openevent_domain::ambient::{Clock, Millis};
use openevent_domain::id::WebhookId;
use openevent_store::{Error, Location, Store, WriteSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// What the leases of senders are called, with their holder behind.
const LEASE: &str = "delivery:";
/// How long a node that says nothing keeps what it has in hand.
const LEASE_MS: i64 = 10_000;
/// How often it says something.
const RENEW_MS: i64 = 3_000;
/// Bites of one kind in one look; what is left waits for the next.
const BITES_MAX: usize = 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) store: Arc<Store>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) holder: Arc<str>,
    renewed_at: AtomicI64,
    nodes: AtomicU32,
}

/// What a look saw.
#[derive(Debug)]
pub(crate) struct Look {
    /// The webhooks, when they are not those of the stamp given.
    pub(crate) book: Option<Book>,
    /// To whom something is owed, and when the first of it is due that nobody has in hand.
    pub(crate) owed: Vec<(WebhookId, Option<Millis>)>,
    /// How many nodes send, this one included.
    pub(crate) nodes: u32,
}

impl Upkeep {
    pub(crate) fn new(store: Arc<Store>, keys: Arc<Keys>, clock: Arc<dyn Clock>, holder: Arc<str>) -> Self {
        let (renewed_at, nodes) = (AtomicI64::new(Millis::MIN), AtomicU32::new(1));
        Self { store, keys, clock, holder, renewed_at, nodes }
    }

    /// Whether other nodes may be at work on the same database.
    fn is_shared(&self) -> bool {
        matches!(self.store.location(), Location::Server(_))
    }

    /// Takes up what was in hand when a process ended: at once where nobody else can have it.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        if self.is_shared() {
            self.renew().await
        } else {
            self.store.release_deliveries_of_others(&self.holder).await
        }
    }

    /// Gives everything back. The lease is left to expire: what was decided before and is committed only now is in the hand
    /// of this node still, and others take it over for want of it.
    pub(crate) async fn end(&self) -> Result<(), Error> {
        self.store.release_deliveries(&self.holder).await
    }

    /// Looks.
    pub(crate) async fn look(&self, stamp: i64, book: &Book) -> Result<Look, Error> {
        if self.is_shared() && self.clock.now() - self.renewed_at.load(Ordering::Relaxed) >= RENEW_MS {
            self.renew().await?;
            self.bury().await?;
        }
        let is_known = self.store.webhooks_stamp().await? == stamp;
        let newer = if is_known { None } else { Some(Book::read(&self.store, &self.keys).await?) };
        let mut owed = self.store.webhooks_owed().await?;
        let targets = newer.as_ref().map_or(&book.targets, |newer| &newer.targets);
        let mut is_stale = false;
        for (webhook, _) in &owed {
            match targets.get(webhook) {
                Some(target) if target.is_active() => {}
                Some(_) => {
                    is_stale = true;
                    self.bite(|set| set.hold_deliveries(webhook, HELD_AT_ONCE)).await?;
                }
                None => {
                    is_stale = true;
                    let now = self.clock.now();
                    self.bite(|set| set.skip_deliveries(webhook, HELD_AT_ONCE, now)).await?;
                }
            }
        }
        if is_stale {
            owed = self.store.webhooks_owed().await?;
        }
        Ok(Look { book: newer, owed, nodes: self.nodes.load(Ordering::Relaxed) })
    }

    /// One bite now; what it leaves is seen by the next look.
    async fn bite(&self, write: impl Fn(&mut WriteSet)) -> Result<(), Error> {
        let mut set = WriteSet::new();
        write(&mut set);
        self.store.submit(set).await
    }

    /// Says that this node is there, and counts those that have said so.
    async fn renew(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.store.lease_take(&lease(&self.holder), &self.holder, now, LEASE_MS).await?;
        let nodes = self.store.leases_live(LEASE, now).await?;
        self.nodes.store(u32::try_from(nodes).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.renewed_at.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back what nodes had in hand that have said nothing for too long.
    async fn bury(&self) -> Result<(), Error> {
        let expired = self.store.leases_expired(LEASE, self.clock.now()).await?;
        for holder in expired.iter().filter(|holder| holder.as_str() != self.holder.as_ref()).take(BITES_MAX)
        {
            tracing::info!(holder, "a node that sent deliveries is gone; others take them over");
            self.store.release_deliveries(holder).await?;
            self.store.lease_drop(&lease(holder), holder).await?;
        }
        Ok(())
    }
}

fn lease(holder: &str) -> String {
    format!("{LEASE}{holder}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Still, owe, store, webhook, webhook_id};
    use openevent_testkit::postgres_url;

    fn node(store: &Arc<Store>, clock: &Arc<Still>, holder: &str) -> Upkeep {
        let clock: Arc<dyn Clock> = Arc::<Still>::clone(clock);
        Upkeep::new(Arc::clone(store), Arc::new(Keys::of(None)), clock, holder.into())
    }

    #[tokio::test]
    async fn a_node_knows_how_many_send() {
        let database = postgres_url().await;
        let store = store(Location::Server(database.url().to_owned())).await;
        let clock = Arc::new(Still::default());
        let (one, two) = (node(&store, &clock, "one"), node(&store, &clock, "two"));
        let nodes = async |node: &Upkeep| node.look(0, &Book::default()).await.unwrap().nodes;

        one.begin().await.unwrap();
        two.begin().await.unwrap();
        let at_first = (nodes(&one).await, nodes(&two).await);
        clock.0.store(RENEW_MS, Ordering::SeqCst);
        let soon = nodes(&one).await;
        clock.0.store(LEASE_MS + 1, Ordering::SeqCst);
        let without_the_other = nodes(&one).await;

        assert_eq!((at_first, soon, without_the_other), ((1, 2), 2, 1));
    }

    #[tokio::test]
    async fn what_a_node_leaves_is_taken_over_also_what_it_commits_after_it_gave_everything_back() {
        let database = postgres_url().await;
        let store = store(Location::Server(database.url().to_owned())).await;
        let clock = Arc::new(Still::default());
        let (ending, staying) = (node(&store, &clock, "ending"), node(&store, &clock, "staying"));
        webhook(&store).await;
        ending.begin().await.unwrap();
        staying.begin().await.unwrap();
        let due = async || staying.look(0, &Book::default()).await.unwrap().owed;

        owe(&store, 1, "ending").await;
        let in_hand = due().await;
        ending.end().await.unwrap();
        let given_back = due().await;
        store.take_deliveries("staying", &webhook_id(), 10, 10).await.unwrap();
        owe(&store, 2, "ending").await;
        let late = due().await;
        clock.0.store(LEASE_MS + 1, Ordering::SeqCst);
        let taken_over = due().await;

        assert_eq!(in_hand, [(webhook_id(), None)]);
        assert_eq!(given_back, [(webhook_id(), Some(5))]);
        assert_eq!(late, [(webhook_id(), None)]);
        assert_eq!(taken_over, [(webhook_id(), Some(5))]);
        assert_eq!(store.leases_expired(LEASE, Millis::MAX).await.unwrap(), ["staying"]);
    }
}
