//! What a node needs to send deliveries: taking them in hand, reading them, writing down what came of it.
//!
//! Invariant: taking in hand is one guarded statement, so of many nodes one gets a delivery; reading comes after it.
//! These statements are the workers' and know no tenant.
//! Not here: lanes, clocks, sockets.

use super::Status;
use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{SignalId, WebhookId};
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::DeliveryId;

/// What a delivery carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwedBody {
    /// A signal: when it came, and its payload as JSON text.
    Signal(Millis, String),
    /// A body of its own.
    Whole(String),
    /// Its signal is gone.
    Gone,
}

/// A delivery to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Its id.
    pub id: DeliveryId,
    /// Whose.
    pub tenant: Tenant,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// The signal's id.
    pub signal_id: Option<SignalId>,
    /// The signal's name.
    pub name: String,
    /// What it carries.
    pub body: OwedBody,
    /// Attempts since it was last made due by hand.
    pub tries: i64,
    /// All attempts.
    pub attempts: i64,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Of which delivery.
    pub delivery_id: DeliveryId,
    /// Which of its attempts, from 1.
    pub n: i64,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// When it began.
    pub at: Millis,
    /// How long it took.
    pub duration_ms: i64,
    /// What was answered.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

/// What an attempt made of its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What has become of it.
    pub status: Status,
    /// Attempts since it was last made due by hand.
    pub tries: i64,
    /// When it is due again; without meaning unless it is pending.
    pub due_at: Millis,
    /// When it ended.
    pub settled_at: Option<Millis>,
    /// In short, why it is not delivered.
    pub reason: Option<String>,
}

static ATTEMPT: Bulk = Bulk::insert(
    "delivery_attempts",
    &[
        ("delivery_id", Kind::Text),
        ("n", Kind::Int),
        ("webhook_id", Kind::Text),
        ("at", Kind::Int),
        ("duration_ms", Kind::Int),
        ("status", Kind::Int),
        ("error", Kind::Text),
        ("answer", Kind::Text),
    ],
    "ON CONFLICT (delivery_id, n) DO NOTHING",
);
static SETTLE: Bulk = Bulk::update(
    "deliveries",
    &[
        ("id", Kind::Text),
        ("attempt", Kind::Int),
        ("status", Kind::Text),
        ("tries", Kind::Int),
        ("due_at", Kind::Int),
        ("settled_at", Kind::Int),
        ("answered", Kind::Int),
        ("reason", Kind::Text),
    ],
    "id",
    "attempts = given.attempt, tries = given.tries, due_at = given.due_at, holder = '', settled_at = given.settled_at, \
     answered = given.answered, reason = given.reason, \
     status = CASE WHEN deliveries.status = 'held' AND given.status = 'pending' THEN 'held' ELSE given.status END",
    "AND deliveries.attempts < given.attempt AND deliveries.status IN ('pending', 'held')",
);
static TAKE: Sql = Sql::same(
    "UPDATE deliveries SET holder = $1 WHERE seq IN (SELECT seq FROM deliveries WHERE webhook_id = $2 AND holder = '' \
     AND status = 'pending' AND lane IS NULL AND due_at <= $3 ORDER BY due_at LIMIT $4) AND holder = '' AND status = 'pending'",
);
/// One probe of the index for each lane to which something is owed: its first.
static TAKE_FIRST: Sql = Sql::same(
    "WITH RECURSIVE owing (lane) AS (\
     SELECT MIN(lane) FROM deliveries WHERE webhook_id = $1 AND status = 'pending' AND lane IS NOT NULL \
     UNION ALL SELECT (SELECT MIN(d.lane) FROM deliveries d WHERE d.webhook_id = $1 AND d.status = 'pending' \
     AND d.lane IS NOT NULL AND d.lane > owing.lane) FROM owing WHERE owing.lane IS NOT NULL) \
     UPDATE deliveries SET holder = $2 WHERE seq IN (SELECT d.seq FROM owing JOIN deliveries d ON d.seq = \
     (SELECT MIN(e.seq) FROM deliveries e WHERE e.webhook_id = $1 AND e.status = 'pending' AND e.lane = owing.lane) \
     WHERE d.holder = '' AND d.due_at <= $3 LIMIT $4) AND holder = '' AND status = 'pending'",
);
static RELEASE: Sql = Sql::same("UPDATE deliveries SET holder = '' WHERE status = 'pending' AND holder = $1");
static RELEASE_OTHERS: Sql =
    Sql::same("UPDATE deliveries SET holder = '' WHERE status = 'pending' AND holder <> '' AND holder <> $1");
const OWED: &str = "SELECT d.id, d.tenant, d.webhook_id, d.signal_id, d.name, d.body, d.tries, d.attempts, \
                    s.received_at, s.payload FROM deliveries d LEFT JOIN signals s ON s.id = d.signal_id \
                    WHERE d.status = 'pending'";
/// One probe of the index for each webhook to which something is owed.
const DUE: &str = "WITH RECURSIVE owing (id) AS (\
    SELECT MIN(webhook_id) FROM deliveries WHERE status = 'pending' \
    UNION ALL SELECT (SELECT MIN(d.webhook_id) FROM deliveries d WHERE d.status = 'pending' AND d.webhook_id > owing.id) \
    FROM owing WHERE owing.id IS NOT NULL) \
    SELECT owing.id, (SELECT MIN(d.due_at) FROM deliveries d WHERE d.status = 'pending' AND d.webhook_id = owing.id \
    AND d.holder = '') FROM owing WHERE owing.id IS NOT NULL";

pub(super) const STATEMENTS: [&Sql; 4] = [&TAKE, &TAKE_FIRST, &RELEASE, &RELEASE_OTHERS];
pub(super) const BULKS: [&Bulk; 2] = [&ATTEMPT, &SETTLE];

impl WriteSet {
    /// An attempt, and what it made of its delivery.
    pub fn settle_delivery(&mut self, attempt: &Attempt, settled: &Settled) {
        let Attempt { delivery_id, n, webhook_id, at, duration_ms, status, error, answer } = attempt;
        let answered = status.map(i64::from);
        let tried: [Value; 8] = [
            delivery_id.as_str().into(),
            (*n).into(),
            webhook_id.as_str().into(),
            (*at).into(),
            (*duration_ms).into(),
            answered.into(),
            error.as_deref().into(),
            answer.as_deref().into(),
        ];
        self.row(&ATTEMPT, tried);
        let values: [Value; 8] = [
            delivery_id.as_str().into(),
            (*n).into(),
            settled.status.as_str().into(),
            settled.tries.into(),
            settled.due_at.into(),
            settled.settled_at.into(),
            answered.into(),
            settled.reason.as_deref().into(),
        ];
        self.row(&SETTLE, values);
    }
}

impl Store {
    /// Takes up to `limit` deliveries of a webhook in hand that are due and in nobody's; of those that go out one after
    /// the other, the first.
    pub async fn take_deliveries(
        &self,
        holder: &str,
        webhook: &WebhookId,
        now: Millis,
        limit: i64,
    ) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&TAKE, [holder.into(), webhook.as_str().into(), now.into(), limit.into()], Expect::Any);
        set.write(
            &TAKE_FIRST,
            [webhook.as_str().into(), holder.into(), now.into(), limit.into()],
            Expect::Any,
        );
        self.submit(set).await
    }

    /// The deliveries of a webhook that a holder has in hand, the longest due first.
    pub async fn deliveries_in_hand(
        &self,
        holder: &str,
        webhook: &WebhookId,
        limit: i64,
    ) -> Result<Vec<Owed>, Error> {
        self.rows(in_hand(holder, webhook, limit)).await?.into_iter().map(owed).collect()
    }

    /// Gives back everything that a holder has in hand.
    pub async fn release_deliveries(&self, holder: &str) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&RELEASE, [holder.into()], Expect::Any);
        self.submit(set).await
    }

    /// Gives back what others have in hand: for a node that is alone.
    pub async fn release_deliveries_of_others(&self, holder: &str) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&RELEASE_OTHERS, [holder.into()], Expect::Any);
        self.submit(set).await
    }

    /// The webhooks to which something is owed, and when the first of it that nobody has in hand is due.
    pub async fn webhooks_owed(&self) -> Result<Vec<(WebhookId, Option<Millis>)>, Error> {
        let rows = self.rows(Select::new(DUE, [])).await?;
        rows.into_iter().map(|mut row| Ok((WebhookId::trusted(row.text()?), row.int_or_null()?))).collect()
    }
}

fn in_hand(holder: &str, webhook: &WebhookId, limit: i64) -> Select {
    Select::new(OWED, [])
        .and("d.webhook_id =", webhook.as_str())
        .and("d.holder =", holder)
        .then("ORDER BY d.due_at, d.seq")
        .then_arg("LIMIT", limit)
}

fn owed(mut row: Row) -> Result<Owed, Error> {
    let id = DeliveryId::trusted(row.text()?);
    let tenant = Tenant::trusted(row.text()?);
    let webhook_id = WebhookId::trusted(row.text()?);
    let signal_id = row.text_or_null()?.map(SignalId::trusted);
    let (name, whole) = (row.text()?, row.text_or_null()?);
    let (tries, attempts) = (row.int()?, row.int()?);
    let body = match (whole, row.int_or_null()?, row.text_or_null()?) {
        (Some(whole), _, _) => OwedBody::Whole(whole),
        (None, Some(at), Some(payload)) => OwedBody::Signal(at, payload),
        _ => OwedBody::Gone,
    };
    Ok(Owed { id, tenant, webhook_id, signal_id, name, body, tries, attempts })
}

pub(super) fn selects() -> Vec<Select> {
    vec![in_hand("x", &WebhookId::trusted("x".into()), 1), Select::new(DUE, [])]
}
