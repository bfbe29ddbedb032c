//! Workflow definitions: the source by its hash, and which source each name and version means now.
//!
//! Invariant: a definition's row is never changed or removed while a run names it.
//! Not here: parsing; the source is text to us.

use crate::sql::{Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;
use std::collections::BTreeMap;

/// Where a definition came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Put through the API.
    Api,
    /// Loaded from the workflows folder.
    File,
}

impl Origin {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::File => "file",
        }
    }
}

/// One version of one workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRecord {
    /// Whose it is.
    pub tenant: Tenant,
    /// `document.namespace`.
    pub namespace: String,
    /// `document.name`.
    pub name: String,
    /// `document.version`.
    pub version: String,
    /// Which definition it means.
    pub definition_hash: String,
    /// Where it came from.
    pub origin: Origin,
    /// When this version was first put.
    pub created_at: Millis,
    /// When it was last put.
    pub updated_at: Millis,
    /// The definition's text as it was given.
    pub source: String,
    /// What it was linked with: texts by their address.
    pub documents: Documents,
}

/// Texts of documents by their address.
pub type Documents = BTreeMap<String, String>;

/// A definition's text, and what it was linked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The text.
    pub source: String,
    /// The documents.
    pub documents: Documents,
}

static ADD_DEFINITION: Sql = Sql::same(
    "INSERT INTO definitions (hash, source, documents) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
);
static PUT: Sql = Sql::same(
    "INSERT INTO workflows (tenant, namespace, name, version, definition_hash, origin, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, namespace, name, version) DO UPDATE SET \
     definition_hash = excluded.definition_hash, origin = excluded.origin, updated_at = excluded.updated_at",
);
static DELETE_VERSION: Sql =
    Sql::same("DELETE FROM workflows WHERE tenant = $1 AND namespace = $2 AND name = $3 AND version = $4");
const COLUMNS: &str = "SELECT w.tenant, w.namespace, w.name, w.version, w.definition_hash, w.origin, w.created_at, w.updated_at, \
                       d.source, d.documents FROM workflows w JOIN definitions d ON d.hash = w.definition_hash";
const STAMP: &str = "SELECT COUNT(*), COALESCE(MAX(updated_at), 0) FROM workflows";
const DEFINITION: &str = "SELECT source, documents FROM definitions WHERE hash = $1";

pub(crate) const STATEMENTS: &[&Sql] = &[&ADD_DEFINITION, &PUT, &DELETE_VERSION];

impl WriteSet {
    /// Puts a version; new runs use it from the commit on.
    pub fn put_workflow(&mut self, workflow: &WorkflowRecord) {
        let documents =
            (!workflow.documents.is_empty()).then(|| serde_json::json!(workflow.documents).to_string());
        let definition =
            [workflow.definition_hash.as_str().into(), workflow.source.as_str().into(), documents.into()];
        self.write(&ADD_DEFINITION, definition, Expect::Any);
        let args: [Value; 8] = [
            workflow.tenant.as_str().into(),
            workflow.namespace.as_str().into(),
            workflow.name.as_str().into(),
            workflow.version.as_str().into(),
            workflow.definition_hash.as_str().into(),
            workflow.origin.as_str().into(),
            workflow.created_at.into(),
            workflow.updated_at.into(),
        ];
        self.write(&PUT, args, Expect::Any);
    }

    /// Removes one version; runs that keep its definition go on.
    pub fn delete_workflow_version(&mut self, tenant: &Tenant, namespace: &str, name: &str, version: &str) {
        let args = [tenant.as_str().into(), namespace.into(), name.into(), version.into()];
        self.write(&DELETE_VERSION, args, Expect::Any);
    }
}

impl Store {
    /// Every version of every workflow of every tenant: for the registry's start.
    pub async fn all_workflows(&self) -> Result<Vec<WorkflowRecord>, Error> {
        let rows = self.rows(all()).await?;
        rows.into_iter().map(record).collect()
    }

    /// Something that changes whenever a workflow of any tenant is put or removed: for noticing what other
    /// processes did without reading it all.
    pub async fn workflows_stamp(&self) -> Result<(i64, Millis), Error> {
        let row = self.row(Select::new(STAMP, [])).await?;
        let mut row = row.ok_or_else(|| Error::corrupt("a count has no row"))?;
        Ok((row.int()?, row.int()?))
    }

    /// A definition's source and documents.
    pub async fn definition(&self, hash: &str) -> Result<Option<Linked>, Error> {
        let row = self.row(Select::new(DEFINITION, [hash.into()])).await?;
        let linked = |mut row: Row| {
            Ok(Linked { source: row.text()?, documents: row.json_or_null()?.unwrap_or_default() })
        };
        row.map(linked).transpose()
    }
}

fn all() -> Select {
    Select::new(COLUMNS, []).then("ORDER BY w.tenant, w.namespace, w.name, w.version")
}

fn record(mut row: Row) -> Result<WorkflowRecord, Error> {
    Ok(WorkflowRecord {
        tenant: Tenant::trusted(row.text()?),
        namespace: row.text()?,
        name: row.text()?,
        version: row.text()?,
        definition_hash: row.text()?,
        origin: if row.text()? == "file" { Origin::File } else { Origin::Api },
        created_at: row.int()?,
        updated_at: row.int()?,
        source: row.text()?,
        documents: row.json_or_null()?.unwrap_or_default(),
    })
}

pub(crate) fn selects() -> Vec<Select> {
    vec![all(), Select::new(STAMP, []), Select::new(DEFINITION, ["x".into()])]
}
