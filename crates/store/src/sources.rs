//! Sources: who may post webhooks of their own to us.
//!
//! Invariant: a change names the version it was decided on; secrets are here only sealed.
//! Not here: checking signatures, the cipher (`seal`).

use crate::seal::Sealed;
use crate::sql::{Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::SourceId;
use openevent_domain::tenant::Tenant;
use serde_json::Map;

/// The table, as errors name it.
pub const TABLE: &str = "sources";

/// Whether what comes from a source is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Active,
    /// It is refused, so that its sender tries again later.
    Paused,
}

impl Status {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Active, Self::Paused];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }

    fn parse(word: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or_else(|| Error::Corrupt(format!("`{word}` is no status of a source")))
    }
}

/// A source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRecord {
    /// Its id.
    pub id: SourceId,
    /// Whose it is.
    pub tenant: Tenant,
    /// What its owner calls it; names of signals begin with it.
    pub name: String,
    /// What kind of sender.
    pub preset: String,
    /// What its owner wants otherwise.
    pub options: Map<String, serde_json::Value>,
    /// Whether what comes is taken.
    pub status: Status,
    /// A JSON list of secrets.
    pub secrets: Option<Sealed>,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// The secrets of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSecrets {
    /// Whose.
    pub id: SourceId,
    /// The source's tenant.
    pub tenant: Tenant,
    /// The values.
    pub sealed: Sealed,
}

impl SourceSecrets {
    /// What the sealed values are bound to.
    pub fn owner(&self) -> String {
        secret_owner(&self.tenant, &self.id)
    }
}

/// What the secrets of a source are bound to when they are sealed.
pub fn secret_owner(tenant: &Tenant, source: &SourceId) -> String {
    format!("{}/source/{source}", tenant.as_str())
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After the row of this time and id.
    After(Millis, String),
}

static ADD: Sql = Sql::same(
    "INSERT INTO sources (id, tenant, name, preset, options, status, key_id, sealed, version, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
);
static CHANGE: Sql = Sql::same(
    "UPDATE sources SET name = $1, preset = $2, options = $3, status = $4, key_id = $5, sealed = $6, version = $7, \
     updated_at = $8 WHERE tenant = $9 AND id = $10 AND version = $11",
);
static DELETE: Sql = Sql::same("DELETE FROM sources WHERE tenant = $1 AND id = $2 AND version = $3");
static RESEAL: Sql = Sql::same("UPDATE sources SET key_id = $1, sealed = $2 WHERE id = $3 AND sealed = $4");
const COLUMNS: &str = "SELECT id, tenant, name, preset, options, status, key_id, sealed, version, created_at, \
                       updated_at FROM sources";

const SECRETS: &str = "SELECT id, tenant, key_id, sealed FROM sources";

/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

pub(crate) const STATEMENTS: &[&Sql] = &[&ADD, &CHANGE, &DELETE, &RESEAL];

impl WriteSet {
    /// A new source. Fails the set when the tenant has one of this name.
    pub fn add_source(&mut self, source: &SourceRecord) {
        let args: [Value; 11] = [
            source.id.as_str().into(),
            source.tenant.as_str().into(),
            source.name.as_str().into(),
            source.preset.as_str().into(),
            serde_json::json!(source.options).to_string().into(),
            source.status.as_str().into(),
            source.secrets.as_ref().map(|sealed| sealed.key_id.as_str()).into(),
            source.secrets.as_ref().map(|sealed| sealed.text.as_str()).into(),
            source.version.into(),
            source.created_at.into(),
            source.updated_at.into(),
        ];
        self.write(&ADD, args, Expect::Any);
    }

    /// A source as it is now, which was at `version` when that was decided.
    pub fn change_source(&mut self, source: &SourceRecord, version: i64) {
        let args: [Value; 11] = [
            source.name.as_str().into(),
            source.preset.as_str().into(),
            serde_json::json!(source.options).to_string().into(),
            source.status.as_str().into(),
            source.secrets.as_ref().map(|sealed| sealed.key_id.as_str()).into(),
            source.secrets.as_ref().map(|sealed| sealed.text.as_str()).into(),
            source.version.into(),
            source.updated_at.into(),
            source.tenant.as_str().into(),
            source.id.as_str().into(),
            version.into(),
        ];
        self.write(&CHANGE, args, Expect::One("the source was changed meanwhile"));
    }

    /// Removes a source.
    pub fn delete_source(&mut self, tenant: &Tenant, id: &SourceId, version: i64) {
        let args = [tenant.as_str().into(), id.as_str().into(), version.into()];
        self.write(&DELETE, args, Expect::One("the source was changed meanwhile"));
    }

    /// The same secrets under another key; nothing happens if they were changed meanwhile.
    pub fn reseal_source(&mut self, before: &SourceSecrets, after: &Sealed) {
        let args: [Value; 4] = [
            after.key_id.as_str().into(),
            after.text.as_str().into(),
            before.id.as_str().into(),
            before.sealed.text.as_str().into(),
        ];
        self.write(&RESEAL, args, Expect::Any);
    }
}

impl Store {
    /// One source.
    pub async fn source(&self, tenant: &Tenant, id: &SourceId) -> Result<Option<SourceRecord>, Error> {
        self.row(one(tenant, id)).await?.map(record).transpose()
    }

    /// One of anybody's sources: for what comes in, whose sender knows no tenant.
    pub async fn any_source(&self, id: &SourceId) -> Result<Option<SourceRecord>, Error> {
        self.row(any(id)).await?.map(record).transpose()
    }

    /// A tenant's source of this name.
    pub async fn source_named(&self, tenant: &Tenant, name: &str) -> Result<Option<SourceRecord>, Error> {
        self.row(named(tenant, name)).await?.map(record).transpose()
    }

    /// A page of a tenant's sources, newest first.
    pub async fn sources(
        &self,
        tenant: &Tenant,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<SourceRecord>, Error> {
        self.rows(list(tenant, place, limit)).await?.into_iter().map(record).collect()
    }

    /// How many a list has, at most [`COUNT_MAX`].
    pub async fn sources_count(&self, tenant: &Tenant) -> Result<i64, Error> {
        self.count(counted(tenant), COUNT_MAX).await
    }

    /// Secrets of sources that are sealed under another key than this, up to `limit`: for re-sealing.
    pub async fn source_secrets_not_under(
        &self,
        key_id: &str,
        limit: i64,
    ) -> Result<Vec<SourceSecrets>, Error> {
        let secrets = |mut row: Row| {
            Ok(SourceSecrets {
                id: SourceId::trusted(row.text()?),
                tenant: Tenant::trusted(row.text()?),
                sealed: Sealed { key_id: row.text()?, text: row.text()? },
            })
        };
        self.rows(not_under(key_id, limit)).await?.into_iter().map(secrets).collect()
    }
}

fn one(tenant: &Tenant, id: &SourceId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()).and("id =", id.as_str())
}

fn any(id: &SourceId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE id =", id.as_str())
}

fn named(tenant: &Tenant, name: &str) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()).and("name =", name)
}

fn list(tenant: &Tenant, place: &Place, limit: i64) -> Select {
    let mut select = Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str());
    let offset = match place {
        Place::Offset(rows) => *rows,
        Place::After(at, id) => {
            select = select.then_arg("AND (created_at, id) < (", *at).then_arg(",", id.as_str()).then(")");
            0
        }
    };
    select.then("ORDER BY created_at DESC, id DESC").then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

fn counted(tenant: &Tenant) -> Select {
    Select::new("SELECT 1 AS one FROM sources WHERE tenant = $1", [tenant.as_str().into()])
}

fn not_under(key_id: &str, limit: i64) -> Select {
    let select = Select::new(SECRETS, []).then_arg("WHERE key_id IS NOT NULL AND key_id <>", key_id);
    select.then_arg("ORDER BY id LIMIT", limit)
}

fn record(mut row: Row) -> Result<SourceRecord, Error> {
    Ok(SourceRecord {
        id: SourceId::trusted(row.text()?),
        tenant: Tenant::trusted(row.text()?),
        name: row.text()?,
        preset: row.text()?,
        options: row.json()?,
        status: Status::parse(&row.text()?)?,
        secrets: match (row.text_or_null()?, row.text_or_null()?) {
            (Some(key_id), Some(text)) => Some(Sealed { key_id, text }),
            _ => None,
        },
        version: row.int()?,
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let (tenant, id) = (Tenant::trusted("x".into()), SourceId::trusted("x".into()));
    vec![
        one(&tenant, &id),
        any(&id),
        named(&tenant, "x"),
        list(&tenant, &Place::Offset(0), 1),
        list(&tenant, &Place::After(0, "x".into()), 1),
        counted(&tenant),
        not_under("x", 1),
    ]
}
