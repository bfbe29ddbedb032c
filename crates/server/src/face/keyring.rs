//! Who a credential belongs to: the static token, and API keys read through a small cache.
//!
//! Invariant: a key revoked or changed in another process is seen so within [`FRESH_MS`], in this one at once
//! (see [`Keyring::forget`]); a key nobody knows is asked for every time, so that a new one works at once.
//! Not here: reading the headers (see `credential`), scopes (see `caller`).

use super::caller::{Credential, Identity};
use super::credential::{Bearer, is_readable, offered};
use super::rates::{Meter, Rates, Subject};
use crate::settings::Settings;
use http::HeaderMap;
use openevent_domain::ambient::Millis;
use openevent_domain::api_key::hex;
use openevent_domain::id::{KeyId, ProjectId, UserId};
use openevent_domain::rate::{DEFAULT_PER_HOUR, Limit};
use openevent_domain::scope::Scopes;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_store::keys::KeyRecord;
use openevent_store::{Error, Store};
use parking_lot::RwLock;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// How long a key's record is believed.
pub const FRESH_MS: i64 = 1_000;
/// Keys remembered at one time.
pub const KEYS_MAX: usize = 10_000;
/// What development answers to when no token is configured.
const DEVELOPMENT_TOKEN: &str = "dev-token";

type Fingerprint = [u8; 32];

/// A credential that is good: whose it is, and what counts its calls.
#[derive(Clone, Debug)]
pub struct Known {
    /// Whose it is.
    pub identity: Arc<Identity>,
    /// Its limit and count; `None` is unlimited.
    pub metered: Option<(Arc<Meter>, Limit)>,
}

/// All credentials.
#[derive(Debug)]
pub struct Keyring {
    store: Arc<Store>,
    token: Option<Fingerprint>,
    operator: Known,
    keys: RwLock<Keys>,
}

/// Records that are believed for a while.
#[derive(Debug, Default)]
struct Keys {
    entries: HashMap<Fingerprint, Arc<Entry>>,
    /// Moves when one is forgotten, so that what was read before is not believed after.
    forgotten: u64,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    record: KeyRecord,
    read_at: Millis,
}

impl Entry {
    fn is_fresh(&self, now: Millis) -> bool {
        (0..FRESH_MS).contains(&(now - self.read_at))
    }
}

impl Keyring {
    /// The credentials of a server whose operator acts for `project`.
    pub fn new(store: Arc<Store>, rates: &Rates, settings: &Settings, project: &ProjectId) -> Self {
        let identity = Identity {
            tenant: Tenant::of(project, Environment::Live),
            project_id: project.clone(),
            scopes: Scopes::all(),
            is_instance: true,
            credential: Credential::Operator,
            name: None,
        };
        let limit = settings.static_rate_per_minute.map(Limit::per_minute);
        let metered = limit.map(|limit| (rates.meter(&Subject::Operator), limit));
        let operator = Known { identity: Arc::new(identity), metered };
        Self { store, token: token(settings), operator, keys: RwLock::default() }
    }

    /// Who the headers speak for; `None` when there is no credential or none of them is good.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        rates: &Rates,
        now: Millis,
    ) -> Result<Option<Known>, Error> {
        let offered = offered(headers);
        if let Some(key) = offered.key
            && let Some(known) = self.key(key, rates, now).await?
        {
            return Ok(Some(known));
        }
        match offered.bearer {
            Some(Bearer::Key(key)) => self.key(key, rates, now).await,
            Some(Bearer::Token(token)) => Ok(self.is_static(token).then(|| self.operator.clone())),
            None => Ok(None),
        }
    }

    /// The caller behind the static token: who acts when the server acts for its operator.
    pub fn operator(&self) -> Arc<Identity> {
        Arc::clone(&self.operator.identity)
    }

    fn is_static(&self, token: &str) -> bool {
        self.token.is_some_and(|expected| Sha256::digest(token.as_bytes())[..].ct_eq(&expected).into())
    }

    async fn key(&self, key: &str, rates: &Rates, now: Millis) -> Result<Option<Known>, Error> {
        if !is_readable(key) {
            return Ok(None);
        }
        let fingerprint: Fingerprint = Sha256::digest(key.as_bytes()).into();
        let cached = self.keys.read().entries.get(&fingerprint).cloned();
        let entry = match cached.filter(|entry| entry.is_fresh(now)) {
            Some(entry) => Some(entry),
            None => self.read(fingerprint, rates, now).await?,
        };
        Ok(entry.filter(|entry| entry.record.is_usable(now)).map(|entry| entry.known.clone()))
    }

    async fn read(
        &self,
        fingerprint: Fingerprint,
        rates: &Rates,
        now: Millis,
    ) -> Result<Option<Arc<Entry>>, Error> {
        let forgotten = self.keys.read().forgotten;
        let Some(record) = self.store.key_by_hash(&hex(&fingerprint)).await? else {
            self.keys.write().entries.remove(&fingerprint);
            return Ok(None);
        };
        let entry = Arc::new(Entry { known: known(&record, rates), record, read_at: now });
        self.keys.write().believe(fingerprint, &entry, forgotten, now);
        Ok(Some(entry))
    }

    /// Asks for this key anew from now on: it was changed.
    pub fn forget(&self, id: &KeyId) {
        self.forget_where(|record| record.id == *id);
    }

    /// Asks anew for the keys that somebody made.
    pub fn forget_made_by(&self, maker: &UserId) {
        self.forget_where(|record| record.created_by.as_ref() == Some(maker));
    }

    fn forget_where(&self, is_changed: impl Fn(&KeyRecord) -> bool) {
        let mut keys = self.keys.write();
        keys.forgotten += 1;
        keys.entries.retain(|_, entry| !is_changed(&entry.record));
    }
}

impl Keys {
    fn believe(&mut self, fingerprint: Fingerprint, entry: &Arc<Entry>, forgotten: u64, now: Millis) {
        if self.forgotten != forgotten {
            return;
        }
        if self.entries.len() >= KEYS_MAX {
            self.entries.retain(|_, entry| entry.is_fresh(now));
        }
        if self.entries.len() < KEYS_MAX {
            self.entries.insert(fingerprint, Arc::clone(entry));
        }
    }
}

fn known(record: &KeyRecord, rates: &Rates) -> Known {
    let identity = Identity {
        tenant: record.tenant.clone(),
        project_id: record.project_id.clone(),
        scopes: record.scopes.clone(),
        is_instance: record.is_instance,
        credential: Credential::Key(record.id.clone()),
        name: Some(record.name.clone()),
    };
    let limit = Limit::per_hour(record.rate_limit.unwrap_or(DEFAULT_PER_HOUR));
    let meter = rates.meter(&Subject::Key(record.id.clone()));
    Known { identity: Arc::new(identity), metered: Some((meter, limit)) }
}

fn token(settings: &Settings) -> Option<Fingerprint> {
    let configured = settings.static_token.as_ref().map(ExposeSecret::expose_secret);
    let token = match configured.filter(|token| !token.is_empty()) {
        Some(token) => token,
        None if settings.development => DEVELOPMENT_TOKEN,
        None => return None,
    };
    Some(Sha256::digest(token.as_bytes()).into())
}
