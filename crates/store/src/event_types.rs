//! The catalogue of signal names a tenant describes: words, JSON Schema, example.
//!
//! Invariant: a schema stored here compiled when it was put.
//! Not here: the twelve built-in names; they are the domain's and need no row.

use crate::sql::{Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;

/// A catalogued name.
#[derive(Clone, Debug, PartialEq)]
pub struct EventType {
    /// The signal name.
    pub name: String,
    /// What it means.
    pub description: Option<String>,
    /// JSON Schema 2020-12 of its payload.
    pub schema: Option<serde_json::Value>,
    /// A payload people can copy.
    pub example: Option<serde_json::Value>,
    /// When it was first put.
    pub created_at: Millis,
    /// When it was last put.
    pub updated_at: Millis,
}

static PUT: Sql = Sql::same(
    "INSERT INTO event_types (tenant, name, description, schema, example, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, name) DO UPDATE SET description = excluded.description, \
     schema = excluded.schema, example = excluded.example, updated_at = excluded.updated_at",
);
static DELETE: Sql = Sql::same("DELETE FROM event_types WHERE tenant = $1 AND name = $2");
const COLUMNS: &str =
    "SELECT name, description, schema, example, created_at, updated_at FROM event_types WHERE tenant = $1";
const TENANTS: &str = "SELECT tenant, name, description, schema, example, created_at, updated_at FROM event_types \
                       WHERE schema IS NOT NULL ORDER BY tenant, name";

pub(crate) const STATEMENTS: &[&Sql] = &[&PUT, &DELETE];

impl WriteSet {
    /// Puts a name into the catalogue, or replaces what it says.
    pub fn put_event_type(&mut self, tenant: &Tenant, event_type: &EventType) {
        let args: [Value; 7] = [
            tenant.as_str().into(),
            event_type.name.as_str().into(),
            event_type.description.clone().into(),
            event_type.schema.as_ref().into(),
            event_type.example.as_ref().into(),
            event_type.created_at.into(),
            event_type.updated_at.into(),
        ];
        self.write(&PUT, args, Expect::Any);
    }

    /// Takes a name out of the catalogue.
    pub fn delete_event_type(&mut self, tenant: &Tenant, name: &str) {
        self.write(&DELETE, [tenant.as_str().into(), name.into()], Expect::One("no such event type"));
    }
}

impl Store {
    /// One catalogued name.
    pub async fn event_type(&self, tenant: &Tenant, name: &str) -> Result<Option<EventType>, Error> {
        let select = Select::new(COLUMNS, [tenant.as_str().into()]).and("name =", name);
        self.row(select).await?.map(record).transpose()
    }

    /// All of a tenant's catalogued names, by name, up to `limit`.
    pub async fn event_types(&self, tenant: &Tenant, limit: i64) -> Result<Vec<EventType>, Error> {
        let select = Select::new(COLUMNS, [tenant.as_str().into()]).then_arg("ORDER BY name LIMIT", limit);
        self.rows(select).await?.into_iter().map(record).collect()
    }

    /// Every schema of every tenant: for the registry's start.
    pub async fn all_schemas(&self) -> Result<Vec<(Tenant, EventType)>, Error> {
        let rows = self.rows(Select::new(TENANTS, [])).await?;
        rows.into_iter().map(|mut row| Ok((Tenant::trusted(row.text()?), record(row)?))).collect()
    }
}

fn record(mut row: Row) -> Result<EventType, Error> {
    Ok(EventType {
        name: row.text()?,
        description: row.text_or_null()?,
        schema: row.json_or_null()?,
        example: row.json_or_null()?,
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    vec![
        Select::new(COLUMNS, ["x".into()]).and("name =", "x"),
        Select::new(COLUMNS, ["x".into()]).then_arg("ORDER BY name LIMIT", 1),
        Select::new(TENANTS, []),
    ]
}
