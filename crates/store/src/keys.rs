//! Projects and API keys.
//!
//! Invariant: a key is found by its hash alone; its text is never here.
//! Not here: what a scope allows, how a key is minted.

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{KeyId, ProjectId};
use openevent_domain::scope::Scopes;
use openevent_domain::tenant::Tenant;

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its unique name.
    pub name: String,
    /// When it was made.
    pub created_at: Millis,
}

/// An API key's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub id: KeyId,
    /// The project's environment it acts for.
    pub tenant: Tenant,
    /// The project.
    pub project_id: ProjectId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the key, lower-case hex.
    pub key_hash: String,
    /// The beginning of the key, for lists.
    pub key_prefix: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Calls an hour, when not the default.
    pub rate_limit: Option<u32>,
    /// From when on it is refused.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// When it was last used, within a minute or so.
    pub last_used_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
}

impl KeyRecord {
    /// Whether the key may be used at this time.
    pub fn is_usable(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

static ADD_PROJECT: Sql = Sql::same(
    "INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
);
const PROJECT: &str = "SELECT id, name, created_at FROM projects WHERE name = $1";
const PROJECT_BY_ID: &str = "SELECT id, name, created_at FROM projects WHERE id = $1";

static ADD_KEY: Sql = Sql::same(
    "INSERT INTO api_keys (id, tenant, project_id, name, key_hash, key_prefix, scopes, rate_limit, expires_at, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);
static REVOKE_KEY: Sql =
    Sql::same("UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL");
const KEYS: &str = "SELECT id, tenant, project_id, name, key_hash, key_prefix, scopes, rate_limit, expires_at, revoked_at, \
                    last_used_at, created_at FROM api_keys";
static TOUCH: Bulk = Bulk::update(
    "api_keys",
    &[("id", Kind::Text), ("last_used_at", Kind::Int)],
    "id",
    "last_used_at = given.last_used_at",
    "AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < given.last_used_at)",
);

pub(crate) const STATEMENTS: &[&Sql] = &[&ADD_PROJECT, &ADD_KEY, &REVOKE_KEY];
pub(crate) const BULKS: &[&Bulk] = &[&TOUCH];

/// Keys a list shows at most.
const KEYS_MAX: i64 = 1_000;

impl WriteSet {
    /// A project, unless one of this name exists.
    pub fn add_project(&mut self, project: &Project) {
        let args = [project.id.as_str().into(), project.name.as_str().into(), project.created_at.into()];
        self.write(&ADD_PROJECT, args, Expect::Any);
    }

    /// A key.
    pub fn add_key(&mut self, key: &KeyRecord) {
        let args: [Value; 10] = [
            key.id.as_str().into(),
            key.tenant.as_str().into(),
            key.project_id.as_str().into(),
            key.name.as_str().into(),
            key.key_hash.as_str().into(),
            key.key_prefix.as_str().into(),
            (&serde_json::json!(key.scopes.words())).into(),
            key.rate_limit.into(),
            key.expires_at.into(),
            key.created_at.into(),
        ];
        self.write(&ADD_KEY, args, Expect::One("the key was not added"));
    }

    /// Revokes a key, for good.
    pub fn revoke_key(&mut self, id: &KeyId, now: Millis) {
        self.write(
            &REVOKE_KEY,
            [now.into(), id.as_str().into()],
            Expect::One("no such key, or it is revoked already"),
        );
    }

    /// Notes when a key was last used.
    pub fn touch_key(&mut self, id: &KeyId, at: Millis) {
        self.row(&TOUCH, [id.as_str().into(), at.into()]);
    }
}

impl Store {
    /// The project of a name.
    pub async fn project(&self, name: &str) -> Result<Option<Project>, Error> {
        self.row(Select::new(PROJECT, [name.into()])).await?.map(project).transpose()
    }

    /// The project of an id.
    pub async fn project_by_id(&self, id: &ProjectId) -> Result<Option<Project>, Error> {
        self.row(Select::new(PROJECT_BY_ID, [id.as_str().into()])).await?.map(project).transpose()
    }

    /// The project of a name, made when it is new.
    pub async fn ensure_project(&self, candidate: Project) -> Result<Project, Error> {
        if let Some(found) = self.project(&candidate.name).await? {
            return Ok(found);
        }
        let mut set = WriteSet::new();
        set.add_project(&candidate);
        self.submit(set).await?;
        self.project(&candidate.name).await?.ok_or_else(|| Error::corrupt("a project vanished"))
    }

    /// The key with this hash, whether usable or not. This is authentication: there is no tenant yet.
    pub async fn key_by_hash(&self, hash: &str) -> Result<Option<KeyRecord>, Error> {
        let select = Select::new(KEYS, []).then_arg("WHERE key_hash =", hash);
        self.row(select).await?.map(key).transpose()
    }

    /// Every key of every tenant, newest first: the operator's list.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, Error> {
        let rows = self.rows(Select::new(KEYS, []).then_arg("ORDER BY id DESC LIMIT", KEYS_MAX)).await?;
        rows.into_iter().map(key).collect()
    }
}

fn project(mut row: Row) -> Result<Project, Error> {
    Ok(Project { id: ProjectId::trusted(row.text()?), name: row.text()?, created_at: row.int()? })
}

fn key(mut row: Row) -> Result<KeyRecord, Error> {
    Ok(KeyRecord {
        id: KeyId::trusted(row.text()?),
        tenant: Tenant::trusted(row.text()?),
        project_id: ProjectId::trusted(row.text()?),
        name: row.text()?,
        key_hash: row.text()?,
        key_prefix: row.text()?,
        scopes: Scopes::trusted(row.json()?),
        rate_limit: row.int_or_null()?.map(|calls| u32::try_from(calls).unwrap_or(u32::MAX)),
        expires_at: row.int_or_null()?,
        revoked_at: row.int_or_null()?,
        last_used_at: row.int_or_null()?,
        created_at: row.int()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    vec![
        Select::new(PROJECT, ["x".into()]),
        Select::new(PROJECT_BY_ID, ["x".into()]),
        Select::new(KEYS, []).then_arg("WHERE key_hash =", "x"),
        Select::new(KEYS, []).then_arg("ORDER BY id DESC LIMIT", 1),
    ]
}
