//! Deliveries: what is owed to webhooks, who has it in hand, and every attempt.
//!
//! Invariant: a delivery that is pending is either in the hand of one holder or due at a time; what an attempt changes
//! is written with the attempt, and the attempt's number guards it against a second writer.
//! Not here: sending, when to try again, which node holds what.

mod owed;
mod shown;

pub use owed::{Attempt, Owed, OwedBody, Settled};
pub use shown::{AttemptRecord, Backlog, COUNT_MAX, DeliveryRecord, Filter, Place};

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::Value;
use crate::write::{Expect, WriteSet};
use crate::{Error, NewDelivery, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::WebhookId;
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::DeliveryId;
use std::sync::Arc;

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// To be sent, now or later.
    Pending,
    /// Taken by its receiver.
    Delivered,
    /// Every attempt failed.
    Failed,
    /// Kept until somebody asks for it, because its webhook is not active.
    Held,
    /// Not to be sent.
    Skipped,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Delivered, Self::Failed, Self::Held, Self::Skipped];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Skipped => "skipped",
        }
    }

    fn parse(word: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or_else(|| Error::Corrupt(format!("`{word}` is no status of a delivery")))
    }
}

/// What somebody asks to be sent after all.
#[derive(Clone, Debug)]
pub struct Recovery<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// Which webhook's.
    pub webhook_id: &'a WebhookId,
    /// Made at or after.
    pub since: Millis,
    /// Those behind this place.
    pub after_seq: i64,
}

static ADD: Bulk = Bulk::insert(
    "deliveries",
    &[
        ("id", Kind::Text),
        ("tenant", Kind::Text),
        ("webhook_id", Kind::Text),
        ("signal_id", Kind::Text),
        ("name", Kind::Text),
        ("body", Kind::Text),
        ("lane", Kind::Text),
        ("status", Kind::Text),
        ("due_at", Kind::Int),
        ("holder", Kind::Text),
        ("created_at", Kind::Int),
    ],
    "",
);
static HOLD: Sql = Sql::same(
    "UPDATE deliveries SET status = 'held', holder = '' WHERE seq IN (SELECT seq FROM deliveries WHERE webhook_id = $1 \
     AND status = 'pending' AND body IS NULL LIMIT $2) \
     AND EXISTS (SELECT 1 FROM webhooks WHERE id = $1 AND status <> 'active')",
);
static HOLD_FAILED: Sql =
    Sql::same("UPDATE deliveries SET status = 'held', settled_at = NULL WHERE id = $1 AND status = 'failed'");
static SKIP_ONE: Sql = Sql::same(
    "UPDATE deliveries SET status = 'skipped', holder = '', settled_at = $1 WHERE tenant = $2 AND webhook_id = $3 AND id = $4 \
     AND status IN ('pending', 'held', 'failed')",
);
static SKIP: Sql = Sql::same(
    "UPDATE deliveries SET status = 'skipped', holder = '', settled_at = $1 WHERE seq IN (SELECT seq FROM deliveries \
     WHERE webhook_id = $2 AND status = 'pending' LIMIT $3) AND NOT EXISTS (SELECT 1 FROM webhooks WHERE id = $2)",
);
static RECOVER: Sql = Sql::same(
    "UPDATE deliveries SET status = 'pending', tries = 0, due_at = $1, settled_at = NULL WHERE seq IN \
     (SELECT seq FROM deliveries WHERE webhook_id = $2 AND status IN ('held', 'failed') AND tenant = $3 \
     AND body IS NULL AND created_at >= $4 AND seq > $5 AND seq <= $6)",
);
static REDELIVER: Sql = Sql::same(
    "UPDATE deliveries SET status = 'pending', tries = 0, due_at = $1, settled_at = NULL \
     WHERE tenant = $2 AND webhook_id = $3 AND id = $4 AND holder = ''",
);
const RECOVERABLE: &str = "SELECT seq FROM deliveries WHERE webhook_id = $1 AND status IN ('held', 'failed')";

pub(crate) fn statements() -> Vec<&'static Sql> {
    let mut all = vec![&HOLD, &HOLD_FAILED, &SKIP_ONE, &SKIP, &RECOVER, &REDELIVER];
    all.extend(owed::STATEMENTS);
    all
}

pub(crate) fn bulks() -> Vec<&'static Bulk> {
    let mut all = vec![&ADD];
    all.extend(owed::BULKS);
    all
}

impl WriteSet {
    /// A delivery, and a notice of it when this node is to send it.
    pub fn add_delivery(&mut self, delivery: Arc<NewDelivery>) {
        let values: [Value; 11] = [
            delivery.id.as_str().into(),
            delivery.tenant.as_str().into(),
            delivery.webhook_id.as_str().into(),
            delivery.signal.as_ref().map(|signal| signal.id.as_str()).into(),
            delivery.name.as_str().into(),
            delivery.body.as_deref().into(),
            delivery.lane.as_deref().into(),
            delivery.status.as_str().into(),
            delivery.created_at.into(),
            delivery.holder.as_ref().into(),
            delivery.created_at.into(),
        ];
        // Nobody has it in hand, so that whoever sends has to look for it.
        let waits = delivery.lane.is_some() && delivery.status == Status::Pending;
        self.row(&ADD, values);
        if waits {
            self.nudge_deliveries();
        }
        self.announce_delivery(delivery);
    }

    /// Keeps what is owed to a webhook that is not active, up to `limit` deliveries.
    pub fn hold_deliveries(&mut self, webhook: &WebhookId, limit: i64) {
        self.write(&HOLD, [webhook.as_str().into(), limit.into()], Expect::Any);
    }

    /// Keeps a delivery whose last attempt disabled its webhook.
    pub fn hold_failed_delivery(&mut self, id: &DeliveryId) {
        self.write(&HOLD_FAILED, [id.as_str().into()], Expect::Any);
    }

    /// Lets go of what is owed to a webhook that is no more, up to `limit` deliveries.
    pub fn skip_deliveries(&mut self, webhook: &WebhookId, limit: i64, now: Millis) {
        self.write(&SKIP, [now.into(), webhook.as_str().into(), limit.into()], Expect::Any);
    }

    /// Makes what was held or had failed due at a time, up to a place.
    pub fn recover_deliveries(&mut self, recovery: &Recovery<'_>, to_seq: i64, due_at: Millis) {
        let args = [
            due_at.into(),
            recovery.webhook_id.as_str().into(),
            recovery.tenant.as_str().into(),
            recovery.since.into(),
            recovery.after_seq.into(),
            to_seq.into(),
        ];
        self.write(&RECOVER, args, Expect::Any);
        self.nudge_deliveries();
    }

    /// Lets go of one delivery. Fails the set when it was delivered or let go of already.
    pub fn skip_delivery(&mut self, tenant: &Tenant, webhook: &WebhookId, id: &DeliveryId, now: Millis) {
        let args = [now.into(), tenant.as_str().into(), webhook.as_str().into(), id.as_str().into()];
        self.write(&SKIP_ONE, args, Expect::One("the delivery has ended"));
        self.nudge_deliveries();
    }

    /// Makes one delivery due now, whatever has become of it, unless it is just being sent.
    pub fn redeliver(&mut self, tenant: &Tenant, webhook: &WebhookId, id: &DeliveryId, now: Millis) {
        let args = [now.into(), tenant.as_str().into(), webhook.as_str().into(), id.as_str().into()];
        self.write(&REDELIVER, args, Expect::Any);
        self.nudge_deliveries();
    }
}

impl Store {
    /// The places of what a recovery would send, oldest first, up to `limit`.
    pub async fn recoverable(&self, recovery: &Recovery<'_>, limit: i64) -> Result<Vec<i64>, Error> {
        let rows = self.rows(recoverable(recovery, limit)).await?;
        rows.into_iter().map(|mut row| row.int()).collect()
    }
}

fn recoverable(recovery: &Recovery<'_>, limit: i64) -> Select {
    Select::new(RECOVERABLE, [recovery.webhook_id.as_str().into()])
        .and("tenant =", recovery.tenant.as_str())
        .and("created_at >=", recovery.since)
        .and("seq >", recovery.after_seq)
        .then("AND body IS NULL ORDER BY seq")
        .then_arg("LIMIT", limit)
}

pub(crate) fn selects() -> Vec<Select> {
    let (tenant, webhook_id) = (Tenant::trusted("x".into()), WebhookId::trusted("x".into()));
    let recovery = Recovery { tenant: &tenant, webhook_id: &webhook_id, since: 0, after_seq: 0 };
    let mut selects = vec![recoverable(&recovery, 1)];
    selects.extend(owed::selects());
    selects.extend(shown::selects());
    selects
}
