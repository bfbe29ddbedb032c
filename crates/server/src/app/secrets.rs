//! Secrets: put, listed by name, taken away. Nobody reads one back.
//!
//! Invariant: no answer, no log line and no remembered answer holds a value.
//! Not here: sealing and what runs see (the engine's vault).

use crate::app::audit::{Act, note};
use crate::face::caller::Caller;
use crate::face::etag::{self, IfMatch};
use crate::face::problem::Problem;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;
use openevent_engine::{Put, Secret, VaultError};
use openevent_store::secrets::SecretRecord;
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::Value;

/// The longest name.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest text of a secret, all its fields together.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Secret)]
pub struct SecretView {
    /// The name.
    #[serde(rename = "_id")]
    pub underscore_id: String,
    /// The name.
    pub id: String,
    /// What definitions call it.
    #[schema(example = "stripe")]
    pub name: String,
    /// When it was first put, Unix milliseconds.
    pub created_at: Millis,
    /// When it was last put, Unix milliseconds.
    pub updated_at: Millis,
}

impl SecretView {
    fn new(name: &str, created_at: Millis, updated_at: Millis) -> Self {
        let name = name.to_owned();
        Self { underscore_id: name.clone(), id: name.clone(), name, created_at, updated_at }
    }

    fn of(record: &SecretRecord) -> Self {
        Self::new(&record.name, record.created_at, record.updated_at)
    }

    /// Names the state it is in.
    pub fn etag(&self) -> String {
        etag::of_bytes(format!("{} {}", self.name, self.updated_at).as_bytes())
    }
}

/// All secrets of a tenant, by name.
pub async fn list(app: &App, tenant: &Tenant) -> Result<Vec<SecretView>, Problem> {
    let records = app.engine.vault().list(tenant).await.map_err(refused)?;
    Ok(records.iter().map(SecretView::of).collect())
}

/// One secret.
pub async fn get(app: &App, tenant: &Tenant, name: &str) -> Result<SecretView, Problem> {
    let found = app.store.secret(tenant, name).await?;
    found.as_ref().map(SecretView::of).ok_or_else(missing)
}

/// Puts a secret, or replaces its value: `None` is one that is not acceptable.
pub async fn put(
    app: &App,
    caller: &Caller,
    name: &str,
    value: &Value,
    if_match: &IfMatch,
    now: Millis,
) -> Result<(SecretView, Put), Problem> {
    let tenant = &caller.tenant;
    check_name(name)?;
    let secret = read(value)?;
    match app.store.secret(tenant, name).await? {
        Some(there) => if_match.check(&SecretView::of(&there).etag())?,
        None => if_match.check_absent()?,
    }
    let mut set = WriteSet::new();
    note(app, &mut set, caller, Act::done("secret.put", name), now);
    let put = app.engine.vault().put(set, tenant, name, &secret, now).await.map_err(refused)?;
    Ok((SecretView::new(name, put.created_at, now), put))
}

/// Takes a secret away. Runs that need it from now on fault.
pub async fn delete(
    app: &App,
    caller: &Caller,
    name: &str,
    if_match: &IfMatch,
    now: Millis,
) -> Result<(), Problem> {
    let tenant = &caller.tenant;
    let there = get(app, tenant, name).await?;
    if_match.check(&there.etag())?;
    let mut set = WriteSet::new();
    note(app, &mut set, caller, Act::done("secret.delete", name), now);
    match app.engine.vault().delete(set, tenant, name).await {
        Err(VaultError::Store(Error::Missed(_))) => Err(missing()),
        other => other.map_err(refused),
    }
}

fn missing() -> Problem {
    Problem::not_found("Secret")
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(is_good) {
        return Ok(());
    }
    Err(Problem::field(
        "name",
        format!("must be 1 to {NAME_CHARS_MAX} letters, digits, dots, dashes or underscores"),
    ))
}

fn read(value: &Value) -> Result<Secret, Problem> {
    let wrong = |issue: &str| Problem::field("value", issue);
    let bytes = match value {
        Value::String(text) => text.len(),
        Value::Object(fields) => {
            let texts = fields.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len));
            texts.sum()
        }
        _ => 0,
    };
    if bytes > VALUE_BYTES_MAX {
        return Err(wrong(&format!("must not be longer than {VALUE_BYTES_MAX} bytes")));
    }
    let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_str() == Some("");
    let secret = Secret::of_json(value).filter(|_| !is_empty);
    secret.ok_or_else(|| wrong("must be text, or an object whose members are text, and not empty"))
}

fn refused(cause: VaultError) -> Problem {
    match cause {
        VaultError::Store(cause) => cause.into(),
        other => Problem::unavailable(other),
    }
}
