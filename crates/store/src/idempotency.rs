//! First answers to requests that carried an `Idempotency-Key`.
//!
//! Invariant: an answer is stored in the same set as its effect, so neither is there without the other.
//! Not here: comparing requests; a fingerprint is text to us.

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;

/// How long an answer is kept (contract §3).
pub const KEPT_MS: i64 = 72 * 3_600_000;

/// The name of the table, as [`Error::Exists`] gives it when a key was used meanwhile.
pub const TABLE: &str = "idempotency";

/// A stored first answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Of the request that was answered.
    pub fingerprint: String,
    /// The answer, as the server wrote it down.
    pub answer: String,
    /// When.
    pub created_at: Millis,
}

static ADD: Bulk = Bulk::insert(
    TABLE,
    &[
        ("tenant", Kind::Text),
        ("key", Kind::Text),
        ("fingerprint", Kind::Text),
        ("answer", Kind::Text),
        ("created_at", Kind::Int),
    ],
    "",
);
static FORGET: Sql = Sql::same("DELETE FROM idempotency WHERE created_at < $1");
static FORGET_ONE: Sql =
    Sql::same("DELETE FROM idempotency WHERE tenant = $1 AND key = $2 AND created_at < $3");
const READ: &str = "SELECT fingerprint, answer, created_at FROM idempotency WHERE tenant = $1 AND key = $2";

pub(crate) const STATEMENTS: &[&Sql] = &[&FORGET, &FORGET_ONE];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

impl WriteSet {
    /// Remembers the answer to a request. Fails the set with `Exists` when the key was used meanwhile.
    pub fn remember(&mut self, tenant: &Tenant, key: &str, remembered: &Remembered) {
        let values = [
            tenant.as_str().into(),
            key.into(),
            remembered.fingerprint.as_str().into(),
            remembered.answer.as_str().into(),
            remembered.created_at.into(),
        ];
        self.row(&ADD, values);
    }
}

impl Store {
    /// What was answered under a key, if it is not too old.
    pub async fn recall(&self, tenant: &Tenant, key: &str, now: Millis) -> Result<Option<Remembered>, Error> {
        let select = Select::new(READ, [tenant.as_str().into(), key.into()]);
        let Some(mut row) = self.row(select).await? else { return Ok(None) };
        let found = Remembered { fingerprint: row.text()?, answer: row.text()?, created_at: row.int()? };
        if found.created_at >= now - KEPT_MS {
            return Ok(Some(found));
        }
        let mut set = WriteSet::new();
        set.write(&FORGET_ONE, [tenant.as_str().into(), key.into(), (now - KEPT_MS).into()], Expect::Any);
        self.submit(set).await.map(|()| None)
    }

    /// Removes the answers that are too old.
    pub async fn forget(&self, now: Millis) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&FORGET, [(now - KEPT_MS).into()], Expect::Any);
        self.submit(set).await
    }
}

pub(crate) fn selects() -> Vec<Select> {
    vec![Select::new(READ, ["x".into(), "x".into()])]
}
