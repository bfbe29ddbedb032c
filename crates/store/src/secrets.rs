//! Secrets of a tenant by name, sealed.
//!
//! Invariant: what is in a row was sealed under the key it names (see [`crate::seal`]); its plain text is never here.
//! Not here: sealing and opening; secrets of the environment, which need no row.

use crate::seal::Sealed;
use crate::sql::{Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;

/// One secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRecord {
    /// Whose it is.
    pub tenant: Tenant,
    /// What definitions call it.
    pub name: String,
    /// The value.
    pub sealed: Sealed,
    /// When it was first put.
    pub created_at: Millis,
    /// When it was last put.
    pub updated_at: Millis,
}

static PUT: Sql = Sql::same(
    "INSERT INTO secrets (tenant, name, key_id, sealed, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (tenant, name) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed, \
     updated_at = excluded.updated_at",
);
static RESEAL: Sql = Sql::same(
    "UPDATE secrets SET key_id = $1, sealed = $2 WHERE tenant = $3 AND name = $4 AND key_id = $5 AND sealed = $6",
);
static DELETE: Sql = Sql::same("DELETE FROM secrets WHERE tenant = $1 AND name = $2");
const COLUMNS: &str = "SELECT tenant, name, key_id, sealed, created_at, updated_at FROM secrets";
const KEY_IDS: &str = "SELECT key_id FROM secrets UNION SELECT key_id FROM webhook_secrets UNION SELECT key_id FROM sources WHERE key_id IS NOT NULL ORDER BY key_id";

pub(crate) const STATEMENTS: &[&Sql] = &[&PUT, &RESEAL, &DELETE];

impl WriteSet {
    /// Puts a secret, or replaces its value.
    pub fn put_secret(&mut self, secret: &SecretRecord) {
        let args: [Value; 6] = [
            secret.tenant.as_str().into(),
            secret.name.as_str().into(),
            secret.sealed.key_id.as_str().into(),
            secret.sealed.text.as_str().into(),
            secret.created_at.into(),
            secret.updated_at.into(),
        ];
        self.write(&PUT, args, Expect::Any);
    }

    /// The same value under another key; nothing happens if somebody put another value meanwhile.
    pub fn reseal_secret(&mut self, secret: &SecretRecord, sealed: &Sealed) {
        let args: [Value; 6] = [
            sealed.key_id.as_str().into(),
            sealed.text.as_str().into(),
            secret.tenant.as_str().into(),
            secret.name.as_str().into(),
            secret.sealed.key_id.as_str().into(),
            secret.sealed.text.as_str().into(),
        ];
        self.write(&RESEAL, args, Expect::Any);
    }

    /// Removes a secret.
    pub fn delete_secret(&mut self, tenant: &Tenant, name: &str) {
        self.write(&DELETE, [tenant.as_str().into(), name.into()], Expect::One("no such secret"));
    }
}

impl Store {
    /// One secret.
    pub async fn secret(&self, tenant: &Tenant, name: &str) -> Result<Option<SecretRecord>, Error> {
        self.row(one(tenant, name)).await?.map(record).transpose()
    }

    /// All of a tenant's secrets, by name, up to `limit`.
    pub async fn secrets(&self, tenant: &Tenant, limit: i64) -> Result<Vec<SecretRecord>, Error> {
        self.rows(of(tenant, limit)).await?.into_iter().map(record).collect()
    }

    /// Secrets of every tenant that are sealed under another key than this, up to `limit`: for re-sealing.
    pub async fn secrets_not_under(&self, key_id: &str, limit: i64) -> Result<Vec<SecretRecord>, Error> {
        self.rows(not_under(key_id, limit)).await?.into_iter().map(record).collect()
    }

    /// The keys that secrets of any tenant are sealed under, those of webhooks among them.
    pub async fn secret_key_ids(&self) -> Result<Vec<String>, Error> {
        let rows = self.rows(Select::new(KEY_IDS, [])).await?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }
}

fn one(tenant: &Tenant, name: &str) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()).and("name =", name)
}

fn of(tenant: &Tenant, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str());
    select.then_arg("ORDER BY name LIMIT", limit)
}

fn not_under(key_id: &str, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []).then_arg("WHERE key_id <>", key_id);
    select.then_arg("ORDER BY tenant, name LIMIT", limit)
}

fn record(mut row: Row) -> Result<SecretRecord, Error> {
    Ok(SecretRecord {
        tenant: Tenant::trusted(row.text()?),
        name: row.text()?,
        sealed: Sealed { key_id: row.text()?, text: row.text()? },
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let tenant = Tenant::trusted("x".into());
    vec![one(&tenant, "x"), of(&tenant, 1), not_under("x", 1), Select::new(KEY_IDS, [])]
}
