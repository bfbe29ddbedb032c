//! Deliveries and their attempts as people see them.
//!
//! Invariant: lists are in the order of commits, newest first; an attempt is shown only to whom its delivery is.
//! Not here: sending.

use super::Status;
use crate::sql::Select;
use crate::value::Row;
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{SignalId, WebhookId};
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::DeliveryId;

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its place among all.
    pub seq: i64,
    /// Its id.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// The signal's id.
    pub signal_id: Option<SignalId>,
    /// The signal's name.
    pub name: String,
    /// What has become of it.
    pub status: Status,
    /// All attempts.
    pub attempts: i64,
    /// When it is due, if it is pending.
    pub due_at: Millis,
    /// When it was made.
    pub created_at: Millis,
    /// When it ended.
    pub settled_at: Option<Millis>,
    /// What the last attempt was answered.
    pub answered: Option<i64>,
    /// In short, why it is not delivered.
    pub reason: Option<String>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Of which delivery.
    pub delivery_id: DeliveryId,
    /// Which of its attempts, from 1.
    pub n: i64,
    /// When it began.
    pub at: Millis,
    /// How long it took.
    pub duration_ms: i64,
    /// What was answered.
    pub status: Option<i64>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

/// Which deliveries a list shows; of a signal or of a webhook, since there is no index for all of them.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this signal.
    pub signal_id: Option<SignalId>,
    /// Only to this webhook.
    pub webhook_id: Option<WebhookId>,
    /// Only those of which this has become.
    pub status: Option<Status>,
    /// Only of signals of this name.
    pub name: Option<String>,
    /// Made at or after.
    pub from: Option<Millis>,
    /// Made at or before.
    pub to: Option<Millis>,
}

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After the row at this place.
    After(i64),
}

/// What is open of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Pending deliveries, at most [`COUNT_MAX`].
    pub pending: i64,
    /// When the oldest of them was made.
    pub oldest_at: Option<Millis>,
}

const BACKLOG: &str = "SELECT COUNT(*), MIN(created_at) FROM (SELECT created_at FROM deliveries WHERE webhook_id = $1 \
                       AND status = 'pending' AND tenant = $2 LIMIT $3) AS open";
const RECENT: &str = "SELECT status, duration_ms FROM delivery_attempts WHERE webhook_id = $1 \
                      AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = $1 AND w.tenant = $2) ORDER BY at DESC LIMIT $3";
const COLUMNS: &str = "SELECT seq, id, webhook_id, signal_id, name, status, attempts, due_at, created_at, settled_at, \
                       answered, reason FROM deliveries";
const ATTEMPTS: &str = "SELECT a.delivery_id, a.n, a.at, a.duration_ms, a.status, a.error, a.answer \
                        FROM deliveries d JOIN delivery_attempts a ON a.delivery_id = d.id WHERE d.tenant = $1";
/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;
/// Attempts that are shown at one time.
const ATTEMPTS_MAX: i64 = 10_000;

impl Store {
    /// One delivery of a webhook.
    pub async fn delivery(
        &self,
        tenant: &Tenant,
        webhook: &WebhookId,
        id: &DeliveryId,
    ) -> Result<Option<DeliveryRecord>, Error> {
        self.row(one(tenant, webhook, id)).await?.map(record).transpose()
    }

    /// A page of deliveries, newest first.
    pub async fn deliveries(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        place: Place,
        limit: i64,
    ) -> Result<Vec<DeliveryRecord>, Error> {
        self.rows(list(tenant, filter, place, limit)).await?.into_iter().map(record).collect()
    }

    /// How many a list has, at most [`COUNT_MAX`].
    pub async fn deliveries_count(&self, tenant: &Tenant, filter: &Filter) -> Result<i64, Error> {
        let select =
            Select::new("SELECT 1 AS one FROM deliveries WHERE tenant = $1", [tenant.as_str().into()]);
        self.count(filtered(select, filter), COUNT_MAX).await
    }

    /// What is still owed to a webhook.
    pub async fn webhook_backlog(&self, tenant: &Tenant, webhook: &WebhookId) -> Result<Backlog, Error> {
        let args = [webhook.as_str().into(), tenant.as_str().into(), COUNT_MAX.into()];
        let row = self.row(Select::new(BACKLOG, args)).await?;
        let backlog = |mut row: Row| Ok(Backlog { pending: row.int()?, oldest_at: row.int_or_null()? });
        row.map_or_else(|| Ok(Backlog::default()), backlog)
    }

    /// What the last attempts for a webhook were answered and how long they took, in milliseconds.
    pub async fn recent_attempts(
        &self,
        tenant: &Tenant,
        webhook: &WebhookId,
        limit: i64,
    ) -> Result<Vec<(Option<i64>, i64)>, Error> {
        let args = [webhook.as_str().into(), tenant.as_str().into(), limit.into()];
        let rows = self.rows(Select::new(RECENT, args)).await?;
        rows.into_iter().map(|mut row| Ok((row.int_or_null()?, row.int()?))).collect()
    }

    /// The attempts of some deliveries, in order.
    pub async fn attempts_of(
        &self,
        tenant: &Tenant,
        deliveries: &[DeliveryRecord],
    ) -> Result<Vec<AttemptRecord>, Error> {
        let ids: Vec<&str> = deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows(attempts(tenant, &ids)).await?;
        let mut attempts = rows.into_iter().map(attempt).collect::<Result<Vec<_>, _>>()?;
        // Few, and sorted here: no index has both columns in this order.
        attempts.sort_by(|a, b| (&a.delivery_id, a.n).cmp(&(&b.delivery_id, b.n)));
        Ok(attempts)
    }
}

fn one(tenant: &Tenant, webhook: &WebhookId, id: &DeliveryId) -> Select {
    let select = Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str());
    select.and("webhook_id =", webhook.as_str()).and("id =", id.as_str())
}

fn filtered(select: Select, filter: &Filter) -> Select {
    select
        .and_maybe("signal_id =", filter.signal_id.as_ref().map(SignalId::as_str))
        .and_maybe("webhook_id =", filter.webhook_id.as_ref().map(WebhookId::as_str))
        .and_maybe("status =", filter.status.map(Status::as_str))
        .and_maybe("name =", filter.name.as_deref())
        .and_maybe("created_at >=", filter.from)
        .and_maybe("created_at <=", filter.to)
}

fn list(tenant: &Tenant, filter: &Filter, place: Place, limit: i64) -> Select {
    let select = filtered(Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()), filter);
    let (select, offset) = match place {
        Place::Offset(rows) => (select, rows),
        Place::After(seq) => (select.and("seq <", seq), 0),
    };
    select.then("ORDER BY seq DESC").then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

fn attempts(tenant: &Tenant, ids: &[&str]) -> Select {
    let mut select = Select::new(ATTEMPTS, [tenant.as_str().into()]);
    for (n, id) in ids.iter().enumerate() {
        select = select.then_arg(if n == 0 { "AND d.id IN (" } else { "," }, *id);
    }
    select.then(")").then_arg("LIMIT", ATTEMPTS_MAX)
}

fn record(mut row: Row) -> Result<DeliveryRecord, Error> {
    Ok(DeliveryRecord {
        seq: row.int()?,
        id: DeliveryId::trusted(row.text()?),
        webhook_id: WebhookId::trusted(row.text()?),
        signal_id: row.text_or_null()?.map(SignalId::trusted),
        name: row.text()?,
        status: Status::parse(&row.text()?)?,
        attempts: row.int()?,
        due_at: row.int()?,
        created_at: row.int()?,
        settled_at: row.int_or_null()?,
        answered: row.int_or_null()?,
        reason: row.text_or_null()?,
    })
}

fn attempt(mut row: Row) -> Result<AttemptRecord, Error> {
    Ok(AttemptRecord {
        delivery_id: DeliveryId::trusted(row.text()?),
        n: row.int()?,
        at: row.int()?,
        duration_ms: row.int()?,
        status: row.int_or_null()?,
        error: row.text_or_null()?,
        answer: row.text_or_null()?,
    })
}

pub(super) fn selects() -> Vec<Select> {
    let (tenant, webhook) = (Tenant::trusted("x".into()), WebhookId::trusted("x".into()));
    let of_signal = Filter { signal_id: Some(SignalId::trusted("x".into())), ..Filter::default() };
    let of_webhook = Filter { webhook_id: Some(webhook.clone()), ..Filter::default() };
    let filter = Filter {
        signal_id: Some(SignalId::trusted("x".into())),
        webhook_id: Some(webhook.clone()),
        status: Some(Status::Pending),
        name: Some("x".into()),
        from: Some(0),
        to: Some(1),
    };
    vec![
        Select::new(BACKLOG, ["x".into(), "x".into(), 1.into()]),
        Select::new(RECENT, ["x".into(), "x".into(), 1.into()]),
        one(&tenant, &webhook, &DeliveryId::trusted("x".into())),
        list(&tenant, &of_signal, Place::Offset(0), 1),
        list(&tenant, &of_webhook, Place::Offset(0), 1),
        list(&tenant, &filter, Place::After(1), 1),
        attempts(&tenant, &["x", "y"]),
    ]
}
