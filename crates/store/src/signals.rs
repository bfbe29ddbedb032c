//! Signals: the log everything hangs on.
//!
//! Invariant: `seq` is the order of commits on one node; `received_at, seq` is the order people see.
//! Not here: matching.

use crate::notice::{NewSignal, TriggerRecord};
use crate::sql::{Bulk, Kind, Select};
use crate::value::{Row, Value};
use crate::write::WriteSet;
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::SignalId;
use openevent_domain::signal::Attributes;
use openevent_domain::tenant::Tenant;
use std::sync::Arc;

/// A stored signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalRecord {
    /// Its place in the log.
    pub seq: i64,
    /// Its id.
    pub id: SignalId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Its name.
    pub name: String,
    /// Its payload.
    pub payload: serde_json::Value,
    /// The sender's CloudEvents attributes.
    pub attributes: Attributes,
    /// When it came.
    pub received_at: Millis,
    /// Whether it started a run.
    pub matched: bool,
    /// The signal it repeats.
    pub replay_of: Option<SignalId>,
    /// The workflows that listen to its name.
    pub triggers: Vec<TriggerRecord>,
}

/// Which signals a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this name.
    pub name: Option<String>,
    /// Received at or after.
    pub from: Option<Millis>,
    /// Received at or before.
    pub to: Option<Millis>,
    /// Only those that started a run, or only those that did not.
    pub matched: Option<bool>,
}

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After this row of the order.
    After(Millis, i64),
}

/// Which end of the log comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The usual.
    NewestFirst,
    /// The other way round.
    OldestFirst,
}

static ADD: Bulk = Bulk::insert(
    "signals",
    &[
        ("id", Kind::Text),
        ("tenant", Kind::Text),
        ("name", Kind::Text),
        ("payload", Kind::Text),
        ("attributes", Kind::Text),
        ("received_at", Kind::Int),
        ("matched", Kind::Int),
        ("replay_of", Kind::Text),
        ("triggers", Kind::Text),
    ],
    "",
);
const COLUMNS: &str = "SELECT seq, id, tenant, name, payload, attributes, received_at, matched, replay_of, triggers FROM signals";
const PLACE: &str = "SELECT seq FROM signals WHERE id < $1 ORDER BY id DESC LIMIT 1";
const LAST: &str = "SELECT COALESCE(MAX(seq), 0) FROM signals";

pub(crate) const BULKS: &[&Bulk] = &[&ADD];

/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

impl WriteSet {
    /// A signal, and a notice of it.
    pub fn add_signal(&mut self, signal: Arc<NewSignal>) {
        let attributes =
            (!signal.attributes.0.is_empty()).then(|| serde_json::json!(signal.attributes.0).to_string());
        let triggers = (!signal.triggers.is_empty()).then(|| serde_json::json!(signal.triggers).to_string());
        let values: [Value; 9] = [
            signal.id.as_str().into(),
            signal.tenant.as_str().into(),
            signal.name.as_str().into(),
            signal.payload.as_str().into(),
            attributes.into(),
            signal.received_at.into(),
            signal.matched().into(),
            signal.replay_of.as_ref().map(SignalId::as_str).into(),
            triggers.into(),
        ];
        self.row(&ADD, values);
        self.announce_signal(signal);
    }
}

impl Store {
    /// One signal of a tenant.
    pub async fn signal(&self, tenant: &Tenant, id: &SignalId) -> Result<Option<SignalRecord>, Error> {
        self.row(by_id(tenant, id)).await?.map(record).transpose()
    }

    /// A page of a tenant's signals.
    pub async fn signals(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        order: Order,
        place: Place,
        limit: i64,
    ) -> Result<Vec<SignalRecord>, Error> {
        let rows = self.rows(list(tenant, filter, order, place, limit)).await?;
        rows.into_iter().map(record).collect()
    }

    /// How many a list has, at most [`COUNT_MAX`].
    pub async fn signals_count(&self, tenant: &Tenant, filter: &Filter) -> Result<i64, Error> {
        let select = filtered(
            Select::new("SELECT 1 AS one FROM signals WHERE tenant = $1", [tenant.as_str().into()]),
            filter,
        );
        self.count(select, COUNT_MAX).await
    }

    /// A tenant's signals after a place in the log, oldest first: for streams.
    pub async fn signals_after(
        &self,
        tenant: &Tenant,
        seq: i64,
        limit: i64,
    ) -> Result<Vec<SignalRecord>, Error> {
        let rows = self.rows(after(Some(tenant), seq, limit)).await?;
        rows.into_iter().map(record).collect()
    }

    /// Everybody's signals after a place in the log: for the engine's restart only.
    pub async fn all_signals_after(&self, seq: i64, limit: i64) -> Result<Vec<SignalRecord>, Error> {
        let rows = self.rows(after(None, seq, limit)).await?;
        rows.into_iter().map(record).collect()
    }

    /// A tenant's signals of one name (or any) since a time, oldest first: for look-back.
    pub async fn signals_since(
        &self,
        tenant: &Tenant,
        name: Option<&str>,
        since: Millis,
        limit: i64,
    ) -> Result<Vec<SignalRecord>, Error> {
        let filter = Filter { name: name.map(str::to_owned), from: Some(since), ..Filter::default() };
        self.signals(tenant, &filter, Order::OldestFirst, Place::Offset(0), limit).await
    }

    /// The place of a signal in the log; of one that is gone, the place of the last that came before it.
    pub async fn signal_place(&self, tenant: &Tenant, id: &SignalId) -> Result<i64, Error> {
        if let Some(record) = self.signal(tenant, id).await? {
            return Ok(record.seq);
        }
        self.row(Select::new(PLACE, [id.as_str().into()])).await?.map_or(Ok(0), |mut row| row.int())
    }

    /// The last place in the log; 0 when it is empty.
    pub async fn signals_last(&self) -> Result<i64, Error> {
        self.row(Select::new(LAST, [])).await?.ok_or_else(|| Error::corrupt("MAX has no row"))?.int()
    }
}

fn by_id(tenant: &Tenant, id: &SignalId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()).and("id =", id.as_str())
}

fn after(tenant: Option<&Tenant>, seq: i64, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []).then_arg("WHERE seq >", seq);
    // Written so that no index of a tenant's whole log is chosen, which would have to be sorted.
    select.and_maybe("tenant || '' =", tenant.map(Tenant::as_str)).then_arg("ORDER BY seq LIMIT", limit)
}

fn filtered(select: Select, filter: &Filter) -> Select {
    select
        .and_maybe("name =", filter.name.as_deref())
        .and_maybe("received_at >=", filter.from)
        .and_maybe("received_at <=", filter.to)
        .and_maybe("matched =", filter.matched)
}

fn list(tenant: &Tenant, filter: &Filter, order: Order, place: Place, limit: i64) -> Select {
    let mut select = filtered(Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()), filter);
    let (beyond, ordering) = match order {
        Order::NewestFirst => ("<", "ORDER BY received_at DESC, seq DESC"),
        Order::OldestFirst => (">", "ORDER BY received_at, seq"),
    };
    let offset = match place {
        Place::Offset(rows) => rows,
        Place::After(at, seq) => {
            select = select
                .then_arg(&format!("AND (received_at, seq) {beyond} ("), at)
                .then_arg(",", seq)
                .then(")");
            0
        }
    };
    select.then(ordering).then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

fn record(mut row: Row) -> Result<SignalRecord, Error> {
    Ok(SignalRecord {
        seq: row.int()?,
        id: SignalId::trusted(row.text()?),
        tenant: Tenant::trusted(row.text()?),
        name: row.text()?,
        payload: row.json()?,
        attributes: Attributes(row.json_or_null()?.unwrap_or_default()),
        received_at: row.int()?,
        matched: row.int()? == 1,
        replay_of: row.text_or_null()?.map(SignalId::trusted),
        triggers: row.json_or_null()?.unwrap_or_default(),
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let (tenant, id) = (Tenant::trusted("x".into()), SignalId::trusted("x".into()));
    let filter = Filter { name: Some("x".into()), from: Some(0), to: Some(1), matched: Some(true) };
    vec![
        by_id(&tenant, &id),
        after(None, 0, 1),
        after(Some(&tenant), 0, 1),
        list(&tenant, &filter, Order::NewestFirst, Place::After(0, 0), 1),
        list(&tenant, &Filter::default(), Order::OldestFirst, Place::Offset(0), 1),
        Select::new(LAST, []),
        Select::new(PLACE, ["x".into()]),
    ]
}
