//! The secrets of webhooks out and in, sealed for the database and opened for signing.
//!
//! Invariant: nothing is sealed under a new key while something is sealed under keys that are missing.
//! Not here: the cipher and its file (`store::seal`), rotating the key (`openevent secrets rotate-key`).

use openevent_domain::ambient::Chance;
use openevent_store::seal::{KeyFile, SealError, Sealed, Sealer};
use openevent_store::{Error, Store};
use parking_lot::RwLock;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
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

/// The keys that secrets of webhooks, out and in, are sealed under.
#[derive(Debug)]
pub struct Keys {
    file: Option<KeyFile>,
    sealer: RwLock<Option<Arc<Sealer>>>,
}

impl Keys {
    /// The keys of a file. `None`: no webhook can be made, and none of those there are can be signed for.
    pub fn of(file: Option<PathBuf>) -> Self {
        Self { file: file.map(KeyFile::at), sealer: RwLock::default() }
    }

    /// Seals a secret for its owner: a webhook, or a source of webhooks.
    pub async fn seal(
        &self,
        store: &Store,
        owner: &str,
        secret: &str,
        chance: &dyn Chance,
    ) -> Result<Sealed, KeyError> {
        let sealer = self.for_writing(store, chance).await?;
        Ok(sealer.seal(owner, secret.as_bytes(), chance)?)
    }

    /// Opens what was sealed for an owner.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Result<String, KeyError> {
        let known = self.sealer.read().clone().filter(|sealer| sealer.holds(&sealed.key_id));
        let sealer = match known {
            Some(sealer) => sealer,
            // Never read yet, or the keys were changed by somebody else.
            None => self.reload()?.ok_or_else(|| SealError::UnknownKey(sealed.key_id.clone()))?,
        };
        let plain = sealer.open(owner, sealed)?;
        String::from_utf8(plain).map_err(|_| KeyError::Corrupt)
    }

    fn reload(&self) -> Result<Option<Arc<Sealer>>, KeyError> {
        let file = self.file.as_ref().ok_or(KeyError::NoKeyFile)?;
        let sealer = file.read()?.map(Arc::new);
        self.sealer.write().clone_from(&sealer);
        Ok(sealer)
    }

    /// Reads the file anew, so that nothing is sealed under a key that has been replaced.
    async fn for_writing(&self, store: &Store, chance: &dyn Chance) -> Result<Arc<Sealer>, KeyError> {
        if let Some(sealer) = self.reload()? {
            return Ok(sealer);
        }
        let file = self.file.as_ref().ok_or(KeyError::NoKeyFile)?;
        if !store.secret_key_ids().await?.is_empty() {
            return Err(KeyError::KeysLost);
        }
        let sealer = Arc::new(file.read_or_make(chance)?);
        *self.sealer.write() = Some(Arc::clone(&sealer));
        Ok(sealer)
    }
}
