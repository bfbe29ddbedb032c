//! Projects and API keys.
//!
//! Invariant: a key is found by its hash alone; its text is never here.
//! Not here: what a scope allows, how a key is minted.

use crate::place::Place;
use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{KeyId, ProjectId, UserId};
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
    /// Whether its `*` reaches beyond its project, as its maker's did.
    pub is_instance: bool,
    /// The person who made it; `None` is the operator.
    pub created_by: Option<UserId>,
    /// Counts its changes, from 1.
    pub version: i64,
}

/// What a key is good for at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It may be used.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyRecord {
    /// Whether the key may be used at this time.
    pub fn is_usable(&self, now: Millis) -> bool {
        self.state(now) == KeyState::Active
    }

    /// What it is good for at this time.
    pub fn state(&self, now: Millis) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|at| at <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }
}

/// Which keys of a project a list shows.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Only those of this environment.
    pub tenant: Option<Tenant>,
    /// Only those in this state at this time.
    pub state: Option<(KeyState, Millis)>,
}

static ADD_PROJECT: Sql = Sql::same(
    "INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
);
const PROJECT: &str = "SELECT id, name, created_at FROM projects WHERE name = $1";
const PROJECT_BY_ID: &str = "SELECT id, name, created_at FROM projects WHERE id = $1";

static ADD_KEY: Sql = Sql::same(
    "INSERT INTO api_keys (id, tenant, project_id, name, key_hash, key_prefix, scopes, rate_limit, expires_at, created_at, \
     instance, created_by, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
);
static CHANGE_KEY: Sql = Sql::same(
    "UPDATE api_keys SET name = $1, scopes = $2, rate_limit = $3, expires_at = $4, revoked_at = $5, instance = $6, \
     version = $7 WHERE project_id = $8 AND id = $9 AND version = $10",
);
static REVOKE_KEY: Sql = Sql::same(
    "UPDATE api_keys SET revoked_at = $1, version = version + 1 WHERE id = $2 AND revoked_at IS NULL",
);
static DELETE_KEY: Sql = Sql::same("DELETE FROM api_keys WHERE project_id = $1 AND id = $2 AND version = $3");
static CONFINE_KEYS: Sql = Sql::same(
    "UPDATE api_keys SET instance = 0, version = version + 1 WHERE created_by = $1 AND instance = 1",
);
const KEYS: &str = "SELECT id, tenant, project_id, name, key_hash, key_prefix, scopes, rate_limit, expires_at, revoked_at, \
                    last_used_at, created_at, instance, created_by, version FROM api_keys";
static TOUCH: Bulk = Bulk::update(
    "api_keys",
    &[("id", Kind::Text), ("last_used_at", Kind::Int)],
    "id",
    "last_used_at = given.last_used_at",
    "AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < given.last_used_at)",
);

pub(crate) const STATEMENTS: &[&Sql] =
    &[&ADD_PROJECT, &ADD_KEY, &CHANGE_KEY, &REVOKE_KEY, &DELETE_KEY, &CONFINE_KEYS];
pub(crate) const BULKS: &[&Bulk] = &[&TOUCH];

/// Keys a list shows at most.
const KEYS_MAX: i64 = 1_000;
/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

impl WriteSet {
    /// A project, unless one of this name exists.
    pub fn add_project(&mut self, project: &Project) {
        let args = [project.id.as_str().into(), project.name.as_str().into(), project.created_at.into()];
        self.write(&ADD_PROJECT, args, Expect::Any);
    }

    /// A key.
    pub fn add_key(&mut self, key: &KeyRecord) {
        let args: [Value; 13] = [
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
            key.is_instance.into(),
            key.created_by.as_ref().map(UserId::as_str).into(),
            key.version.into(),
        ];
        self.write(&ADD_KEY, args, Expect::One("the key was not added"));
    }

    /// A key as it is now, which was at `version` when that was decided.
    pub fn change_key(&mut self, key: &KeyRecord, version: i64) {
        let args: [Value; 10] = [
            key.name.as_str().into(),
            (&serde_json::json!(key.scopes.words())).into(),
            key.rate_limit.into(),
            key.expires_at.into(),
            key.revoked_at.into(),
            key.is_instance.into(),
            key.version.into(),
            key.project_id.as_str().into(),
            key.id.as_str().into(),
            version.into(),
        ];
        self.write(&CHANGE_KEY, args, Expect::One("the key was changed meanwhile"));
    }

    /// Removes a key that is still at this version.
    pub fn delete_key(&mut self, key: &KeyRecord) {
        let args = [key.project_id.as_str().into(), key.id.as_str().into(), key.version.into()];
        self.write(&DELETE_KEY, args, Expect::One("the key was changed meanwhile"));
    }

    /// Confines the keys that somebody made to their projects: they are no admin any more.
    pub fn confine_keys(&mut self, maker: &UserId) {
        self.write(&CONFINE_KEYS, [maker.as_str().into()], Expect::Any);
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

    /// One key of a project.
    pub async fn project_key(&self, project: &ProjectId, id: &KeyId) -> Result<Option<KeyRecord>, Error> {
        self.row(one(project, id)).await?.map(key).transpose()
    }

    /// A page of a project's keys, newest first.
    pub async fn project_keys(
        &self,
        project: &ProjectId,
        filter: &KeyFilter,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<KeyRecord>, Error> {
        self.rows(list(project, filter, place, limit)).await?.into_iter().map(key).collect()
    }

    /// How many a list of keys has, at most [`COUNT_MAX`].
    pub async fn project_keys_count(&self, project: &ProjectId, filter: &KeyFilter) -> Result<i64, Error> {
        self.count(filtered("SELECT 1 AS one FROM api_keys", project, filter), COUNT_MAX).await
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
        is_instance: row.int()? == 1,
        created_by: row.text_or_null()?.map(UserId::trusted),
        version: row.int()?,
    })
}

fn one(project: &ProjectId, id: &KeyId) -> Select {
    Select::new(KEYS, []).then_arg("WHERE project_id =", project.as_str()).and("id =", id.as_str())
}

fn filtered(text: &str, project: &ProjectId, filter: &KeyFilter) -> Select {
    let select = Select::new(text, []).then_arg("WHERE project_id =", project.as_str());
    let select = select.and_maybe("tenant =", filter.tenant.as_ref().map(Tenant::as_str));
    match filter.state {
        None => select,
        Some((KeyState::Revoked, _)) => select.then("AND revoked_at IS NOT NULL"),
        Some((KeyState::Expired, now)) => select.then("AND revoked_at IS NULL").and("expires_at <=", now),
        Some((KeyState::Active, now)) => {
            select.then("AND revoked_at IS NULL").and("COALESCE(expires_at, 9223372036854775807) >", now)
        }
    }
}

fn list(project: &ProjectId, filter: &KeyFilter, place: &Place, limit: i64) -> Select {
    place.newest_first(filtered(KEYS, project, filter), "id", limit)
}

pub(crate) fn selects() -> Vec<Select> {
    let project = ProjectId::trusted("x".into());
    let states = KeyState::ALL.into_iter().map(|state| Some((state, 0))).chain([None]);
    let lists = states.map(|state| {
        let filter = KeyFilter { tenant: state.map(|_| Tenant::trusted("x".into())), state };
        [
            list(&project, &filter, &Place::Offset(0), 1),
            list(&project, &filter, &Place::After("x".into()), 1),
            filtered("SELECT 1 AS one FROM api_keys", &project, &filter),
        ]
    });
    vec![
        Select::new(PROJECT, ["x".into()]),
        Select::new(PROJECT_BY_ID, ["x".into()]),
        Select::new(KEYS, []).then_arg("WHERE key_hash =", "x"),
        Select::new(KEYS, []).then_arg("ORDER BY id DESC LIMIT", 1),
        one(&project, &KeyId::trusted("x".into())),
    ]
    .into_iter()
    .chain(lists.flatten())
    .collect()
}
