//! The webhooks as a sender needs them: where to, signed with what, and whether at all.
//!
//! Invariant: a target is replaced as a whole; an attempt goes by the one it began with.
//! Not here: which signals they want.

use crate::keys::Keys;
use crate::lane::Pace;
use openevent_domain::ambient::Millis;
use openevent_domain::id::WebhookId;
use openevent_domain::webhook::Signer;
use openevent_store::webhooks::{SecretRecord, Status, WebhookRecord};
use openevent_store::{Error, Store};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// One webhook, ready to be called.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) record: WebhookRecord,
    /// The secret in force first, then those whose overlap has not ended; with the time it does.
    signers: Vec<(Signer, Option<Millis>)>,
    /// The limits its owner set.
    pub(crate) pace: Pace,
    /// Whether its deliveries may have to wait for each other.
    pub(crate) is_ordered: bool,
}

impl Target {
    fn of(record: WebhookRecord, signers: Vec<(Signer, Option<Millis>)>) -> Self {
        let number = |name: &str| record.options.get(name).and_then(Value::as_u64).filter(|n| *n > 0);
        let at_once = number("maxConcurrency").map(|limit| limit as usize);
        let pace = Pace::of(at_once, number("ratePerSecond").map(|rate| rate as u32));
        let is_ordered = record.options.contains_key("fifoKey");
        Self { record, signers, pace, is_ordered }
    }

    /// Whether signals are sent to it.
    pub(crate) fn is_active(&self) -> bool {
        self.record.status == Status::Active
    }

    /// Whether it can be signed for at all.
    pub(crate) fn is_signable(&self) -> bool {
        !self.signers.is_empty()
    }

    /// What an attempt at this time is signed with, the secret in force first.
    pub(crate) fn signers(&self, now: Millis) -> impl Iterator<Item = &Signer> + Clone {
        let holds = move |ends_at: &Option<Millis>| ends_at.is_none_or(|ends_at| now < ends_at);
        self.signers.iter().filter(move |(_, ends_at)| holds(ends_at)).map(|(signer, _)| signer)
    }
}

/// All webhooks, as of one stamp.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) stamp: i64,
    pub(crate) targets: HashMap<WebhookId, Arc<Target>>,
}

impl Book {
    /// Reads the store.
    pub(crate) async fn read(store: &Store, keys: &Keys) -> Result<Self, Error> {
        // Before the rows: what changes in between is seen as a change next time.
        let stamp = store.webhooks_stamp().await?;
        let records = store.all_webhooks().await?;
        let mut secrets: HashMap<WebhookId, Vec<SecretRecord>> = HashMap::new();
        for secret in store.all_webhook_secrets().await? {
            secrets.entry(secret.webhook_id.clone()).or_default().push(secret);
        }
        let target = |record: WebhookRecord| {
            let mut sealed = secrets.remove(&record.id).unwrap_or_default();
            sealed.reverse();
            (record.id.clone(), Arc::new(Target::of(record, signers(&sealed, keys))))
        };
        Ok(Self { stamp, targets: records.into_iter().map(target).collect() })
    }
}

/// Without the one in force none: a delivery that its receiver cannot verify is worse than a late one.
fn signers(sealed: &[SecretRecord], keys: &Keys) -> Vec<(Signer, Option<Millis>)> {
    let mut signers = Vec::with_capacity(sealed.len());
    for secret in sealed {
        match keys.open(&secret.owner(), &secret.sealed) {
            Ok(plain) => signers.push((Signer::of(&plain), secret.ends_at)),
            Err(cause) => {
                tracing::error!(
                    webhook.id = %secret.webhook_id,
                    error = &cause as &dyn std::error::Error,
                    "the secret of a webhook cannot be read; its deliveries wait"
                );
                if secret.ends_at.is_none() {
                    return Vec::new();
                }
            }
        }
    }
    signers
}
