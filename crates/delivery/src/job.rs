//! A delivery in memory, on its way out.
//!
//! Invariant: the body is a function of what is stored, so it is made when it is needed and need not be kept.
//! Not here: signing, sending.

use openevent_domain::ambient::Millis;
use openevent_domain::id::WebhookId;
use openevent_domain::webhook::{DeliveryId, body};
use openevent_store::deliveries::{Owed, OwedBody};
use openevent_store::{NewDelivery, NewSignal};
use std::sync::Arc;

/// A delivery to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: DeliveryId,
    pub(crate) webhook_id: WebhookId,
    /// The signal's name.
    pub(crate) name: String,
    /// Attempts since it was last made due by hand, before the next.
    pub(crate) tries: i64,
    /// All attempts before the next.
    pub(crate) attempts: i64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Signal(Arc<NewSignal>),
    Stored { at: Millis, payload: Arc<str> },
    Whole(Arc<str>),
    Gone,
}

impl Job {
    /// A delivery that was just made.
    pub(crate) fn new(delivery: &NewDelivery) -> Self {
        let content = match (&delivery.signal, &delivery.body) {
            (Some(signal), _) => Content::Signal(Arc::clone(signal)),
            (None, Some(body)) => Content::Whole(body.as_str().into()),
            (None, None) => Content::Gone,
        };
        let (id, webhook_id) = (delivery.id.clone(), delivery.webhook_id.clone());
        Self { id, webhook_id, name: delivery.name.clone(), tries: 0, attempts: 0, content }
    }

    /// A delivery as the store has it.
    pub(crate) fn stored(owed: Owed) -> Self {
        let content = match owed.body {
            OwedBody::Signal(at, payload) => Content::Stored { at, payload: payload.into() },
            OwedBody::Whole(body) => Content::Whole(body.into()),
            OwedBody::Gone => Content::Gone,
        };
        let Owed { id, webhook_id, name, tries, attempts, .. } = owed;
        Self { id, webhook_id, name, tries, attempts, content }
    }

    /// Whether it is a test: then it is tried once, whatever its webhook's state, and counts for nothing.
    pub(crate) fn is_test(&self) -> bool {
        matches!(self.content, Content::Whole(_))
    }

    /// Whether there is nothing to send any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.content, Content::Gone)
    }

    /// What is sent. `None`: its signal is gone.
    pub(crate) fn body(&self) -> Option<Vec<u8>> {
        match &self.content {
            Content::Signal(signal) => Some(body(&self.id, &self.name, signal.received_at, &signal.payload)),
            Content::Stored { at, payload } => Some(body(&self.id, &self.name, *at, payload)),
            Content::Whole(whole) => Some(whole.as_bytes().to_vec()),
            Content::Gone => None,
        }
    }

    /// When its signal came.
    pub(crate) fn owed_since(&self) -> Option<Millis> {
        match &self.content {
            Content::Signal(signal) => Some(signal.received_at),
            Content::Stored { at, .. } => Some(*at),
            Content::Whole(_) | Content::Gone => None,
        }
    }

    /// Roughly what it holds in memory.
    pub(crate) fn bytes(&self) -> usize {
        match &self.content {
            Content::Signal(signal) => signal.payload.len(),
            Content::Stored { payload, .. } => payload.len(),
            Content::Whole(whole) => whole.len(),
            Content::Gone => 0,
        }
    }
}
