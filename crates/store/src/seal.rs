//! Sealing what must not be readable in the database: AES-256-GCM under keys of a file beside it.
//!
//! Invariant: a sealed text opens only for the owner it was sealed for (the tenant and name are authenticated with
//! it) and only under the key it names. A key file is replaced as a whole: whatever instant a process dies at, the
//! file holds every key that something is sealed under.
//! Not here: the rows; which secrets there are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openevent_domain::ambient::Chance;
use openevent_domain::api_key::hex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Characters of a key's id.
const ID_CHARS: usize = 16;
/// Keys of a file.
const KEYS_MAX: usize = 64;
/// Readable and writable for the owner alone.
const PRIVATE_FILE: u32 = 0o600;

/// A value nobody can read without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key it is sealed under.
    pub key_id: String,
    /// Base64 of nonce and ciphertext.
    pub text: String,
}

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file could not be read or written.
    #[error("the key file {path} cannot be used")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key file holds something else than keys.
    #[error("the key file {0} holds no keys as we write them")]
    NoKeys(PathBuf),
    /// It was sealed under a key that the file does not hold.
    #[error("it is sealed under a key ({0}) that the key file does not hold")]
    UnknownKey(String),
    /// It was changed since it was sealed, or belongs to somebody else.
    #[error("the sealed text is damaged or not of this owner")]
    Damaged,
}

/// One key.
struct Key {
    id: String,
    bytes: [u8; KEY_BYTES],
}

impl Key {
    fn of(bytes: [u8; KEY_BYTES]) -> Self {
        // A hash of the key under a label: it identifies the key and tells nothing about it.
        let labelled = [b"openevent key ".as_slice(), &bytes].concat();
        let id = hex(digest(&SHA256, &labelled).as_ref())[..ID_CHARS].to_owned();
        Self { id, bytes }
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        UnboundKey::new(&AES_256_GCM, &self.bytes).map(LessSafeKey::new).map_err(|_| SealError::Damaged)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.id).finish()
    }
}

/// The keys of a file: the first seals, all of them open.
#[derive(Debug)]
pub struct Sealer(Vec<Key>);

impl Sealer {
    /// The id of the key that seals.
    pub fn key_id(&self) -> &str {
        self.0.first().map(|key| key.id.as_str()).unwrap_or_default()
    }

    /// Whether the file holds this key.
    pub fn holds(&self, key_id: &str) -> bool {
        self.0.iter().any(|key| key.id == key_id)
    }

    /// Seals a value for its owner, such as `prj_1.live/stripe`.
    pub fn seal(&self, owner: &str, plain: &[u8], chance: &dyn Chance) -> Result<Sealed, SealError> {
        let key = self.0.first().ok_or(SealError::Damaged)?;
        let mut nonce = [0; NONCE_LEN];
        chance.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let done = key.cipher()?.seal_in_place_append_tag(unique, Aad::from(owner), &mut sealed);
        done.map_err(|_| SealError::Damaged)?;
        Ok(Sealed { key_id: key.id.clone(), text: STANDARD.encode([&nonce[..], &sealed].concat()) })
    }

    /// Opens what was sealed for this owner.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id);
        let key = key.ok_or_else(|| SealError::UnknownKey(sealed.key_id.clone()))?;
        let bytes = STANDARD.decode(&sealed.text).map_err(|_| SealError::Damaged)?;
        let (nonce, cipher) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Damaged)?;
        let mut plain = cipher.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.cipher()?.open_in_place(nonce, Aad::from(owner), &mut plain);
        Ok(opened.map_err(|_| SealError::Damaged)?.to_vec())
    }
}

/// The file that holds the keys: one a line in base64, the one that seals first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The file of this name, which need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The keys, if the file is there.
    pub fn read(&self) -> Result<Option<Sealer>, SealError> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(self.cannot(cause)),
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let key = |line: &str| {
            let bytes = STANDARD.decode(line).ok()?;
            Some(Key::of(bytes.try_into().ok()?))
        };
        let keys: Option<Vec<Key>> = lines.map(key).collect();
        match keys {
            Some(keys) if (1..=KEYS_MAX).contains(&keys.len()) => Ok(Some(Sealer(keys))),
            _ => Err(SealError::NoKeys(self.0.clone())),
        }
    }

    /// The keys; a file with a new key is made when there is none. Whoever makes it first wins.
    pub fn read_or_make(&self, chance: &dyn Chance) -> Result<Sealer, SealError> {
        if let Some(sealer) = self.read()? {
            return Ok(sealer);
        }
        let draft = self.write_draft(&[mint(chance)], chance)?;
        // Linking fails where a file is; then that one holds.
        let linked = fs::hard_link(&draft, &self.0);
        fs::remove_file(&draft).map_err(|cause| self.cannot(cause))?;
        match linked {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(self.cannot(cause)),
            _ => self.sync_folder()?,
        }
        self.read()?.ok_or_else(|| SealError::NoKeys(self.0.clone()))
    }

    /// Puts a new key in front. Kept behind it are the one that sealed so far and those in `needed`.
    pub fn add_key(&self, needed: &[String], chance: &dyn Chance) -> Result<Sealer, SealError> {
        let Sealer(keys) = self.read_or_make(chance)?;
        let kept = keys.into_iter().enumerate().filter(|(n, key)| *n == 0 || needed.contains(&key.id));
        let keys: Vec<Key> = std::iter::once(mint(chance)).chain(kept.map(|(_, key)| key)).collect();
        let draft = self.write_draft(&keys, chance)?;
        fs::rename(&draft, &self.0).map_err(|cause| self.cannot(cause))?;
        self.sync_folder()?;
        Ok(Sealer(keys))
    }

    fn write_draft(&self, keys: &[Key], chance: &dyn Chance) -> Result<PathBuf, SealError> {
        let mut unique = [0; 8];
        chance.fill(&mut unique);
        let mut name = self.0.clone().into_os_string();
        name.push(format!(".{}", hex(&unique)));
        let draft = PathBuf::from(name);
        let text: String = keys.iter().map(|key| STANDARD.encode(key.bytes) + "\n").collect();
        let write = || {
            // A node on PostgreSQL may never have had a reason to make its folder.
            if let Some(folder) = self.folder() {
                fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|cause| self.cannot(cause))?;
        Ok(draft)
    }

    fn folder(&self) -> Option<&Path> {
        self.0.parent().filter(|folder| !folder.as_os_str().is_empty())
    }

    fn sync_folder(&self) -> Result<(), SealError> {
        let folder = File::open(self.folder().unwrap_or(Path::new(".")));
        let synced = folder.and_then(|folder| folder.sync_all());
        synced.map_err(|cause| self.cannot(cause))
    }

    fn cannot(&self, source: io::Error) -> SealError {
        SealError::File { path: self.0.clone(), source }
    }
}

fn mint(chance: &dyn Chance) -> Key {
    let mut bytes = [0; KEY_BYTES];
    chance.fill(&mut bytes);
    Key::of(bytes)
}
