//! Secrets by tenant and name: what was put, sealed in the store, and what the operator's environment holds.
//!
//! Invariant: a plain value leaves this module only towards a call that is being performed; what is put wins over
//! the environment, and the environment speaks for the project `default` alone.
//! Not here: what runs see of secrets (`actions::veil`), the cipher and its key file (`store::seal`).

use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::tenant::{DEFAULT_PROJECT, Environment, Tenant};
use openevent_store::seal::{KeyFile, SealError, Sealed, Sealer};
use openevent_store::secrets::SecretRecord;
use openevent_store::{Store, WriteSet};
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// How long a value is believed: as long as another process's change may go unseen.
const FRESH_MS: i64 = 1_000;
/// Values remembered at one time.
const REMEMBERED_MAX: usize = 1_000;
/// Secrets of one tenant that a list shows.
const LISTED_MAX: i64 = 1_000;
/// Secrets re-sealed in one write.
const RESEALED_PER_WRITE: i64 = 200;

/// A secret: one text, or several by name.
#[derive(Clone, Debug)]
pub enum Secret {
    /// One.
    Text(SecretString),
    /// Several.
    Fields(BTreeMap<String, SecretString>),
}

impl Secret {
    /// Reads `"text"` or `{"name": "text", …}`; `None` for anything else.
    pub fn of_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.as_str().into())),
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| {
                    Some((name.clone(), SecretString::from(value.as_str()?)))
                };
                fields.iter().map(field).collect::<Option<_>>().map(Self::Fields)
            }
            _ => None,
        }
    }

    /// Reads a variable: the text of a JSON object of texts gives fields.
    pub fn of_variable(text: &str) -> Self {
        let fields = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
        fields.as_ref().and_then(Self::of_json).unwrap_or_else(|| Self::Text(text.into()))
    }

    /// The whole text, or one field's.
    pub(crate) fn part(&self, field: Option<&str>) -> Option<&SecretString> {
        match (self, field) {
            (Self::Text(text), None) => Some(text),
            (Self::Fields(fields), Some(field)) => fields.get(field),
            _ => None,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => text.expose_secret().into(),
            Self::Fields(fields) => {
                fields.iter().map(|(name, text)| (name.clone(), Value::from(text.expose_secret()))).collect()
            }
        }
    }
}

/// Where secrets come from.
#[derive(Clone, Debug, Default)]
pub struct SecretSettings {
    /// The file of keys. `None`: nothing can be put.
    pub key_file: Option<PathBuf>,
    /// Secrets of the environment, by the variable's name without its prefix.
    pub environment: BTreeMap<String, SecretString>,
}

/// Why a secret could not be put or read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The database.
    #[error(transparent)]
    Store(#[from] openevent_store::Error),
    /// The cipher or its key file.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Nobody said where the keys are.
    #[error("this server has no key file")]
    NoKeyFile,
    /// Sealing under a new key would leave the other nodes unable to read.
    #[error("the key file is missing, but there are secrets sealed under its keys")]
    KeysLost,
    /// What was opened is not a secret as we write them.
    #[error("a stored secret does not read as what we wrote")]
    Corrupt,
}

/// What putting a secret did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// When it was first put.
    pub created_at: Millis,
    /// Whether there was one of this name.
    pub is_replaced: bool,
}

type Remembered = HashMap<(Tenant, String), (Millis, Option<Arc<Secret>>)>;

/// All secrets.
#[derive(Debug)]
pub struct Vault {
    store: Arc<Store>,
    keys: Option<KeyFile>,
    environment: BTreeMap<String, Arc<Secret>>,
    /// The tenants the environment speaks for; known once the project is there.
    default_tenants: OnceLock<[Tenant; 2]>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    sealer: RwLock<Option<Arc<Sealer>>>,
    remembered: RwLock<Remembered>,
}

impl Vault {
    /// The secrets of a store and of the environment.
    pub fn new(
        store: Arc<Store>,
        settings: &SecretSettings,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Self {
        let variable = |(name, text): (&String, &SecretString)| {
            (name.clone(), Arc::new(Secret::of_variable(text.expose_secret())))
        };
        Self {
            store,
            keys: settings.key_file.clone().map(KeyFile::at),
            environment: settings.environment.iter().map(variable).collect(),
            default_tenants: OnceLock::new(),
            clock,
            chance,
            sealer: RwLock::default(),
            remembered: RwLock::default(),
        }
    }

    /// A secret's value.
    pub async fn get(&self, tenant: &Tenant, name: &str) -> Result<Option<Arc<Secret>>, VaultError> {
        let (key, now) = ((tenant.clone(), name.to_owned()), self.clock.now());
        if let Some((at, found)) = self.remembered.read().get(&key)
            && (0..FRESH_MS).contains(&(now - at))
        {
            return Ok(found.clone());
        }
        let found = match self.store.secret(tenant, name).await? {
            Some(record) => Some(Arc::new(self.open(&record)?)),
            None => self.of_environment(tenant, name).await?,
        };
        let mut remembered = self.remembered.write();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(key, (now, found.clone()));
        Ok(found)
    }

    /// Puts a secret, or replaces its value, in one commit with `set`.
    pub async fn put(
        &self,
        mut set: WriteSet,
        tenant: &Tenant,
        name: &str,
        value: &Secret,
        now: Millis,
    ) -> Result<Put, VaultError> {
        let sealer = self.sealer_for_writing().await?;
        let there = self.store.secret(tenant, name).await?;
        let plain = value.to_json().to_string();
        let sealed = sealer.seal(&owner(tenant, name), plain.as_bytes(), self.chance.as_ref())?;
        let created_at = there.as_ref().map_or(now, |there| there.created_at);
        let record = SecretRecord {
            tenant: tenant.clone(),
            name: name.to_owned(),
            sealed,
            created_at,
            updated_at: now,
        };
        set.put_secret(&record);
        self.store.submit(set).await?;
        self.forget(tenant, name);
        Ok(Put { created_at, is_replaced: there.is_some() })
    }

    /// Removes a secret, in one commit with `set`.
    pub async fn delete(&self, mut set: WriteSet, tenant: &Tenant, name: &str) -> Result<(), VaultError> {
        set.delete_secret(tenant, name);
        self.store.submit(set).await?;
        self.forget(tenant, name);
        Ok(())
    }

    /// The secrets that were put, by name. Their values stay sealed.
    pub async fn list(&self, tenant: &Tenant) -> Result<Vec<SecretRecord>, VaultError> {
        Ok(self.store.secrets(tenant, LISTED_MAX).await?)
    }

    fn forget(&self, tenant: &Tenant, name: &str) {
        self.remembered.write().remove(&(tenant.clone(), name.to_owned()));
    }

    async fn of_environment(&self, tenant: &Tenant, name: &str) -> Result<Option<Arc<Secret>>, VaultError> {
        let Some(found) = self.environment.get(&variable(name)) else { return Ok(None) };
        if self.default_tenants.get().is_none()
            && let Some(project) = self.store.project(DEFAULT_PROJECT).await?
        {
            let tenants = Environment::ALL.map(|environment| Tenant::of(&project.id, environment));
            // Whoever was first found the same.
            let _ = self.default_tenants.set(tenants);
        }
        let speaks = self.default_tenants.get().is_some_and(|tenants| tenants.contains(tenant));
        Ok(speaks.then(|| Arc::clone(found)))
    }

    fn open(&self, record: &SecretRecord) -> Result<Secret, VaultError> {
        let known = self.sealer.read().clone().filter(|sealer| sealer.holds(&record.sealed.key_id));
        let sealer = match known {
            Some(sealer) => sealer,
            // Never read yet, or the keys were changed by somebody else.
            None => self.reload()?.ok_or_else(|| SealError::UnknownKey(record.sealed.key_id.clone()))?,
        };
        let plain = sealer.open(&owner(&record.tenant, &record.name), &record.sealed)?;
        let value = serde_json::from_slice(&plain).map_err(|_| VaultError::Corrupt)?;
        Secret::of_json(&value).ok_or(VaultError::Corrupt)
    }

    fn reload(&self) -> Result<Option<Arc<Sealer>>, VaultError> {
        let keys = self.keys.as_ref().ok_or(VaultError::NoKeyFile)?;
        let sealer = keys.read()?.map(Arc::new);
        self.sealer.write().clone_from(&sealer);
        Ok(sealer)
    }

    /// Reads the file anew, so that nothing is sealed under a key that has been replaced.
    async fn sealer_for_writing(&self) -> Result<Arc<Sealer>, VaultError> {
        if let Some(sealer) = self.reload()? {
            return Ok(sealer);
        }
        let keys = self.keys.as_ref().ok_or(VaultError::NoKeyFile)?;
        if !self.store.secret_key_ids().await?.is_empty() {
            return Err(VaultError::KeysLost);
        }
        let sealer = Arc::new(keys.read_or_make(self.chance.as_ref())?);
        *self.sealer.write() = Some(Arc::clone(&sealer));
        Ok(sealer)
    }
}

/// Seals every secret of every tenant, those of webhooks and sources among them, under a new key. Answers how many.
/// Broken off at any instant, nothing is lost: the file holds old and new keys by then, and the next rotation seals what
/// this one left.
pub async fn rotate_key(store: &Store, keys: &KeyFile, chance: &dyn Chance) -> Result<usize, VaultError> {
    let needed = store.secret_key_ids().await?;
    if !needed.is_empty() && keys.read()?.is_none() {
        return Err(VaultError::KeysLost);
    }
    let sealer = keys.add_key(&needed, chance)?;
    let (key, limit) = (sealer.key_id(), RESEALED_PER_WRITE);
    let resealing = Resealing { store, sealer: &sealer, chance };
    let of_workflows = resealing
        .all(
            async || store.secrets_not_under(key, limit).await,
            |record| (owner(&record.tenant, &record.name), &record.sealed),
            WriteSet::reseal_secret,
        )
        .await?;
    let of_webhooks = resealing
        .all(
            async || store.webhook_secrets_not_under(key, limit).await,
            |record| (record.owner(), &record.sealed),
            WriteSet::reseal_webhook_secret,
        )
        .await?;
    let of_sources = resealing
        .all(
            async || store.source_secrets_not_under(key, limit).await,
            |record| (record.owner(), &record.sealed),
            WriteSet::reseal_source,
        )
        .await?;
    Ok(of_workflows + of_webhooks + of_sources)
}

struct Resealing<'a> {
    store: &'a Store,
    sealer: &'a Sealer,
    chance: &'a dyn Chance,
}

impl Resealing<'_> {
    /// Seals anew what `next` still finds, a write at a time.
    async fn all<R>(
        &self,
        next: impl AsyncFn() -> Result<Vec<R>, openevent_store::Error>,
        value: impl Fn(&R) -> (String, &Sealed),
        write: impl Fn(&mut WriteSet, &R, &Sealed),
    ) -> Result<usize, VaultError> {
        let mut resealed = 0;
        loop {
            let stale = next().await?;
            if stale.is_empty() {
                return Ok(resealed);
            }
            let mut set = WriteSet::new();
            for record in &stale {
                let (owner, sealed) = value(record);
                let plain = self.sealer.open(&owner, sealed)?;
                write(&mut set, record, &self.sealer.seal(&owner, &plain, self.chance)?);
            }
            self.store.submit(set).await?;
            resealed += stale.len();
        }
    }
}

/// What a sealed value is bound to.
fn owner(tenant: &Tenant, name: &str) -> String {
    format!("{}/{name}", tenant.as_str())
}

/// `my-token` is `MY_TOKEN` in the environment.
fn variable(name: &str) -> String {
    name.replace(['-', '.'], "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_text_unless_it_is_an_object_of_texts() {
        assert!(
            matches!(Secret::of_variable("{\"user\":\"me\"}"), Secret::Fields(fields) if fields.len() == 1)
        );
        for text in ["plain", "{\"n\":1}", "[\"a\"]", "\"quoted\"", "{"] {
            let Secret::Text(read) = Secret::of_variable(text) else { panic!("{text}") };
            assert_eq!(read.expose_secret(), text);
        }
    }

    #[test]
    fn names_are_written_in_capitals_in_the_environment() {
        assert_eq!(variable("my-oauth2.secret"), "MY_OAUTH2_SECRET");
    }

    #[test]
    fn printing_a_secret_does_not_show_it() {
        assert!(!format!("{:?}", Secret::of_variable("hush")).contains("hush"));
    }
}
