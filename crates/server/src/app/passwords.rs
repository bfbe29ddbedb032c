//! Passwords: argon2id with the parameters OWASP names, on threads of their own, a few at a time.
//!
//! Invariant: asking for somebody who is not there costs exactly one run, as for somebody who is. However many sign
//! in at once, [`AT_ONCE`] threads and [`WAITING_MAX`] places are all they take.
//! Not here: how often one may try (see `sessions`), which passwords may be chosen (the domain).

use crate::face::problem::Problem;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use openevent_domain::ambient::Chance;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Passwords hashed at one time; each takes 19 MiB.
const AT_ONCE: usize = 2;
/// Those that may wait for it; more are told to come again.
const WAITING_MAX: usize = 64;
/// Random bytes of a salt.
const SALT_BYTES: usize = 16;
/// A hash like every other, of a password nobody knows: asked when there is no account.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$b3BlbmV2ZW50LWRlY295IQ$\
                     q2d0iBhQh3W0kqQ1kq1J9cXm3dO3dJc9rJ0mZbT8x0E";

/// The one place where passwords are hashed.
#[derive(Debug)]
pub struct Passwords {
    waiting: Semaphore,
    running: Semaphore,
    runs: AtomicU64,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(AT_ONCE + WAITING_MAX),
            running: Semaphore::new(AT_ONCE),
            runs: AtomicU64::new(0),
        }
    }
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many wait already.
    #[error("too many passwords are being checked")]
    Crowded,
    /// The function itself refused. A bug.
    #[error("the password cannot be hashed: {0}")]
    Refused(String),
    /// The thread ended early. A bug.
    #[error("the hashing thread ended")]
    Broken(#[source] tokio::task::JoinError),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Crowded => Self::unavailable(error),
            Error::Refused(_) | Error::Broken(_) => Self::internal(error),
        }
    }
}

impl Passwords {
    /// What is stored of a password.
    pub async fn hash(&self, password: SecretString, chance: &dyn Chance) -> Result<String, Error> {
        let salt = salt(chance);
        self.run(move || hash_with(&password, &salt)).await?
    }

    /// Whether this is the password that was hashed; without a hash it never is, and takes as long.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, Error> {
        self.run(move || {
            let expected = hash.as_deref().unwrap_or(DECOY);
            let is_right = function().verify_password(password.expose_secret().as_bytes(), expected).is_ok();
            is_right && hash.is_some()
        })
        .await
    }

    /// How often the function has run.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let _place = self.waiting.try_acquire().map_err(|_| Error::Crowded)?;
        let _turn = self.running.acquire().await.map_err(|_| Error::Crowded)?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_blocking(work).await.map_err(Error::Broken)
    }
}

/// The same for the command line, on the thread it is on.
pub fn hash_now(password: &SecretString, chance: &dyn Chance) -> Result<String, Error> {
    hash_with(password, &salt(chance))
}

fn salt(chance: &dyn Chance) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    chance.fill(&mut salt);
    salt
}

fn hash_with(password: &SecretString, salt: &[u8]) -> Result<String, Error> {
    let hashed = function().hash_password_with_salt(password.expose_secret().as_bytes(), salt);
    hashed.map(|hash| hash.to_string()).map_err(|cause| Error::Refused(cause.to_string()))
}

/// 19 MiB, two rounds, one lane.
fn function() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sevens;
    impl Chance for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".into(), &Sevens).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("battery staple".into(), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_s_password_takes_a_run_too() {
        let passwords = Passwords::default();
        assert!(!passwords.verify("correct horse".into(), None).await.unwrap());
        assert_eq!(passwords.runs(), 1);
        let decoy = argon2::PasswordHash::new(DECOY).unwrap();
        let ours = hash_now(&"x".into(), &Sevens).unwrap();
        let ours = argon2::PasswordHash::new(&ours).unwrap();
        assert_eq!(
            (decoy.algorithm, decoy.version, &decoy.params),
            (ours.algorithm, ours.version, &ours.params)
        );
        assert_eq!(decoy.hash.map(|hash| hash.len()), ours.hash.map(|hash| hash.len()));
    }

    #[tokio::test]
    async fn a_crowd_is_told_to_come_again() {
        let passwords = Passwords::default();
        let _all = passwords.waiting.acquire_many((AT_ONCE + WAITING_MAX) as u32).await.unwrap();
        assert!(matches!(passwords.verify("x".into(), None).await, Err(Error::Crowded)));
        assert_eq!(passwords.runs(), 0);
    }
}
