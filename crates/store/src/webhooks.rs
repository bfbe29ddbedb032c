//! Webhooks: who gets which signals where, and the sealed secrets their deliveries are signed with.
//!
//! Invariant: whatever changes which signals a webhook gets, or how, moves [`Store::webhooks_stamp`] in the same set.
//! Not here: matching, sealing, what is owed to them (see [`crate::deliveries`]).

use crate::seal::Sealed;
use crate::sql::{Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::WebhookId;
use openevent_domain::tenant::Tenant;
use serde_json::Map;

/// Whether a webhook gets what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Active,
    /// Its owner wants nothing for now; what it would get is held.
    Paused,
    /// It failed too often; what it would get is held.
    Disabled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Disabled];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    fn parse(word: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or_else(|| Error::Corrupt(format!("`{word}` is no status of a webhook")))
    }
}

/// A webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookRecord {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub tenant: Tenant,
    /// What its owner calls it.
    pub name: String,
    /// Where it goes.
    pub url: String,
    /// Names and patterns of the signals it gets.
    pub events: Vec<String>,
    /// What else was asked for.
    pub options: Map<String, serde_json::Value>,
    /// Whether it gets them.
    pub status: Status,
    /// Failed attempts since the last good one.
    pub failures: i64,
    /// When it was disabled.
    pub disabled_at: Option<Millis>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// A secret of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRecord {
    /// Whose.
    pub webhook_id: WebhookId,
    /// Which of its secrets, from 1.
    pub n: i64,
    /// The webhook's tenant.
    pub tenant: Tenant,
    /// The value.
    pub sealed: Sealed,
    /// When it was made.
    pub created_at: Millis,
    /// When it is no longer signed with; `None` for the one in force.
    pub ends_at: Option<Millis>,
}

impl SecretRecord {
    /// What its sealed value is bound to.
    pub fn owner(&self) -> String {
        secret_owner(&self.tenant, &self.webhook_id)
    }
}

/// What the secrets of a webhook are bound to when they are sealed. No secret of a workflow has a slash in its name.
pub fn secret_owner(tenant: &Tenant, webhook: &WebhookId) -> String {
    format!("{}/webhook/{webhook}", tenant.as_str())
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
    "INSERT INTO webhooks (id, tenant, name, url, events, options, status, version, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);
static CHANGE: Sql = Sql::same(
    "UPDATE webhooks SET name = $1, url = $2, events = $3, options = $4, status = $5, failures = $6, disabled_at = $7, \
     disabled_reason = $8, version = $9, updated_at = $10 WHERE tenant = $11 AND id = $12 AND version = $13",
);
static DELETE: Sql = Sql::same("DELETE FROM webhooks WHERE tenant = $1 AND id = $2 AND version = $3");
static FAILED: Sql = Sql::same("UPDATE webhooks SET failures = failures + $1 WHERE id = $2");
static SUCCEEDED: Sql = Sql::same("UPDATE webhooks SET failures = $1 WHERE id = $2 AND failures <> $1");
static DISABLE: Sql = Sql::same(
    "UPDATE webhooks SET status = 'disabled', disabled_at = $1, disabled_reason = $2, version = version + 1, \
     updated_at = $1 WHERE id = $3 AND status = 'active'",
);
static ADD_SECRET: Sql = Sql::same(
    "INSERT INTO webhook_secrets (webhook_id, n, tenant, key_id, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
);
static END_SECRETS: Sql = Sql::same(
    "UPDATE webhook_secrets SET ends_at = $1 WHERE webhook_id = $2 AND n < $3 AND (ends_at IS NULL OR ends_at > $1)",
);
static FORGET_SECRETS: Sql = Sql::same("DELETE FROM webhook_secrets WHERE webhook_id = $1 AND ends_at <= $2");
static DELETE_SECRETS: Sql = Sql::same("DELETE FROM webhook_secrets WHERE webhook_id = $1");
static RESEAL: Sql = Sql::same(
    "UPDATE webhook_secrets SET key_id = $1, sealed = $2 WHERE webhook_id = $3 AND n = $4 AND sealed = $5",
);
static STIR: Sql = Sql::same(
    "INSERT INTO cursors (name, seq) VALUES ('webhooks', 1) ON CONFLICT (name) DO UPDATE SET seq = cursors.seq + 1",
);
const COLUMNS: &str = "SELECT id, tenant, name, url, events, options, status, failures, disabled_at, disabled_reason, \
                       version, created_at, updated_at FROM webhooks";
const SECRETS: &str =
    "SELECT webhook_id, n, tenant, key_id, sealed, created_at, ends_at FROM webhook_secrets";
const STAMP: &str = "SELECT seq FROM cursors WHERE name = 'webhooks'";

/// Webhooks that are read at one time; a project has at most a few hundred.
const ALL_MAX: i64 = 100_000;
/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

pub(crate) const STATEMENTS: &[&Sql] = &[
    &ADD,
    &CHANGE,
    &DELETE,
    &FAILED,
    &SUCCEEDED,
    &DISABLE,
    &ADD_SECRET,
    &END_SECRETS,
    &FORGET_SECRETS,
    &DELETE_SECRETS,
    &RESEAL,
    &STIR,
];

impl WriteSet {
    /// A new webhook.
    pub fn add_webhook(&mut self, webhook: &WebhookRecord) {
        let args: [Value; 10] = [
            webhook.id.as_str().into(),
            webhook.tenant.as_str().into(),
            webhook.name.as_str().into(),
            webhook.url.as_str().into(),
            serde_json::json!(webhook.events).to_string().into(),
            serde_json::json!(webhook.options).to_string().into(),
            webhook.status.as_str().into(),
            webhook.version.into(),
            webhook.created_at.into(),
            webhook.updated_at.into(),
        ];
        self.write(&ADD, args, Expect::Any);
        self.stir_webhooks();
    }

    /// A webhook as it is now, which was at `version` when that was decided.
    pub fn change_webhook(&mut self, webhook: &WebhookRecord, version: i64) {
        let args: [Value; 13] = [
            webhook.name.as_str().into(),
            webhook.url.as_str().into(),
            serde_json::json!(webhook.events).to_string().into(),
            serde_json::json!(webhook.options).to_string().into(),
            webhook.status.as_str().into(),
            webhook.failures.into(),
            webhook.disabled_at.into(),
            webhook.disabled_reason.as_deref().into(),
            webhook.version.into(),
            webhook.updated_at.into(),
            webhook.tenant.as_str().into(),
            webhook.id.as_str().into(),
            version.into(),
        ];
        self.write(&CHANGE, args, Expect::One("the webhook was changed meanwhile"));
        self.stir_webhooks();
    }

    /// Removes a webhook with its secrets.
    pub fn delete_webhook(&mut self, tenant: &Tenant, id: &WebhookId, version: i64) {
        let args = [tenant.as_str().into(), id.as_str().into(), version.into()];
        self.write(&DELETE, args, Expect::One("the webhook was changed meanwhile"));
        self.write(&DELETE_SECRETS, [id.as_str().into()], Expect::Any);
        self.stir_webhooks();
    }

    /// Counts failed attempts of a webhook.
    pub fn count_webhook_failures(&mut self, id: &WebhookId, count: i64) {
        self.write(&FAILED, [count.into(), id.as_str().into()], Expect::Any);
    }

    /// How many attempts have failed since the last good one, which was among those written with this.
    pub fn set_webhook_failures(&mut self, id: &WebhookId, failures: i64) {
        self.write(&SUCCEEDED, [failures.into(), id.as_str().into()], Expect::Any);
    }

    /// Disables a webhook. Fails the set when it is not active any more.
    pub fn disable_webhook(&mut self, id: &WebhookId, reason: &str, at: Millis) {
        let args = [at.into(), reason.into(), id.as_str().into()];
        self.write(&DISABLE, args, Expect::One("the webhook is not active"));
        self.stir_webhooks();
    }

    /// A further secret, which is in force from now on; those before it end at `overlap_until`.
    pub fn add_webhook_secret(&mut self, secret: &SecretRecord, overlap_until: Millis) {
        let id = secret.webhook_id.as_str();
        let args: [Value; 6] = [
            id.into(),
            secret.n.into(),
            secret.tenant.as_str().into(),
            secret.sealed.key_id.as_str().into(),
            secret.sealed.text.as_str().into(),
            secret.created_at.into(),
        ];
        self.write(&ADD_SECRET, args, Expect::Any);
        self.write(&END_SECRETS, [overlap_until.into(), id.into(), secret.n.into()], Expect::Any);
        self.write(&FORGET_SECRETS, [id.into(), secret.created_at.into()], Expect::Any);
        self.stir_webhooks();
    }

    /// The same value under another key; nothing happens if it was changed meanwhile.
    pub fn reseal_webhook_secret(&mut self, secret: &SecretRecord, sealed: &Sealed) {
        let args: [Value; 5] = [
            sealed.key_id.as_str().into(),
            sealed.text.as_str().into(),
            secret.webhook_id.as_str().into(),
            secret.n.into(),
            secret.sealed.text.as_str().into(),
        ];
        self.write(&RESEAL, args, Expect::Any);
    }

    fn stir_webhooks(&mut self) {
        self.write(&STIR, [], Expect::Any);
        self.announce_webhooks();
    }
}

impl Store {
    /// One webhook.
    pub async fn webhook(&self, tenant: &Tenant, id: &WebhookId) -> Result<Option<WebhookRecord>, Error> {
        self.row(one(tenant, id)).await?.map(record).transpose()
    }

    /// A page of a tenant's webhooks, newest first.
    pub async fn webhooks(
        &self,
        tenant: &Tenant,
        status: Option<Status>,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<WebhookRecord>, Error> {
        self.rows(list(tenant, status, place, limit)).await?.into_iter().map(record).collect()
    }

    /// How many a list has, at most [`COUNT_MAX`].
    pub async fn webhooks_count(&self, tenant: &Tenant, status: Option<Status>) -> Result<i64, Error> {
        self.count(counted(tenant, status), COUNT_MAX).await
    }

    /// Everybody's webhooks: for matching and delivering only.
    pub async fn all_webhooks(&self) -> Result<Vec<WebhookRecord>, Error> {
        self.rows(all()).await?.into_iter().map(record).collect()
    }

    /// One of anybody's webhooks as it is now: for delivering only.
    pub async fn any_webhook(&self, id: &WebhookId) -> Result<Option<WebhookRecord>, Error> {
        self.row(any(id)).await?.map(record).transpose()
    }

    /// The secrets of all webhooks, each webhook's oldest first: for delivering only.
    pub async fn all_webhook_secrets(&self) -> Result<Vec<SecretRecord>, Error> {
        self.rows(all_secrets()).await?.into_iter().map(secret).collect()
    }

    /// The secrets of one webhook, newest first.
    pub async fn webhook_secrets(&self, tenant: &Tenant, id: &WebhookId) -> Result<Vec<SecretRecord>, Error> {
        self.rows(secrets_of(tenant, id)).await?.into_iter().map(secret).collect()
    }

    /// Secrets of webhooks that are sealed under another key than this, up to `limit`: for re-sealing.
    pub async fn webhook_secrets_not_under(
        &self,
        key_id: &str,
        limit: i64,
    ) -> Result<Vec<SecretRecord>, Error> {
        self.rows(not_under(key_id, limit)).await?.into_iter().map(secret).collect()
    }

    /// A number that moves whenever a webhook of any tenant is made, changed or removed.
    pub async fn webhooks_stamp(&self) -> Result<i64, Error> {
        self.row(Select::new(STAMP, [])).await?.map_or(Ok(0), |mut row| row.int())
    }
}

fn one(tenant: &Tenant, id: &WebhookId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()).and("id =", id.as_str())
}

fn any(id: &WebhookId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE id =", id.as_str())
}

fn all() -> Select {
    Select::new(COLUMNS, []).then_arg("ORDER BY tenant, created_at, id LIMIT", ALL_MAX)
}

fn list(tenant: &Tenant, status: Option<Status>, place: &Place, limit: i64) -> Select {
    let mut select = Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str());
    select = select.and_maybe("status =", status.map(Status::as_str));
    let offset = match place {
        Place::Offset(rows) => *rows,
        Place::After(at, id) => {
            select = select.then_arg("AND (created_at, id) < (", *at).then_arg(",", id.as_str()).then(")");
            0
        }
    };
    select.then("ORDER BY created_at DESC, id DESC").then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

fn counted(tenant: &Tenant, status: Option<Status>) -> Select {
    Select::new("SELECT 1 AS one FROM webhooks WHERE tenant = $1", [tenant.as_str().into()])
        .and_maybe("status =", status.map(Status::as_str))
}

fn all_secrets() -> Select {
    Select::new(SECRETS, []).then_arg("ORDER BY webhook_id, n LIMIT", ALL_MAX)
}

fn secrets_of(tenant: &Tenant, id: &WebhookId) -> Select {
    let select = Select::new(SECRETS, []).then_arg("WHERE tenant =", tenant.as_str());
    select.and("webhook_id =", id.as_str()).then("ORDER BY n DESC")
}

fn not_under(key_id: &str, limit: i64) -> Select {
    let select = Select::new(SECRETS, []).then_arg("WHERE key_id <>", key_id);
    select.then_arg("ORDER BY webhook_id, n LIMIT", limit)
}

fn record(mut row: Row) -> Result<WebhookRecord, Error> {
    Ok(WebhookRecord {
        id: WebhookId::trusted(row.text()?),
        tenant: Tenant::trusted(row.text()?),
        name: row.text()?,
        url: row.text()?,
        events: row.json()?,
        options: row.json()?,
        status: Status::parse(&row.text()?)?,
        failures: row.int()?,
        disabled_at: row.int_or_null()?,
        disabled_reason: row.text_or_null()?,
        version: row.int()?,
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}

fn secret(mut row: Row) -> Result<SecretRecord, Error> {
    Ok(SecretRecord {
        webhook_id: WebhookId::trusted(row.text()?),
        n: row.int()?,
        tenant: Tenant::trusted(row.text()?),
        sealed: Sealed { key_id: row.text()?, text: row.text()? },
        created_at: row.int()?,
        ends_at: row.int_or_null()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let (tenant, id) = (Tenant::trusted("x".into()), WebhookId::trusted("x".into()));
    vec![
        one(&tenant, &id),
        any(&id),
        all(),
        list(&tenant, None, &Place::Offset(0), 1),
        list(&tenant, Some(Status::Active), &Place::After(0, "x".into()), 1),
        counted(&tenant, Some(Status::Active)),
        all_secrets(),
        secrets_of(&tenant, &id),
        not_under("x", 1),
        Select::new(STAMP, []),
    ]
}
