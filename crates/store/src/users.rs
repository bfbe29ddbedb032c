//! People: their accounts, and the rule that an admin stays.
//!
//! Invariant: an address is unique whatever its case. A set that calls [`WriteSet::keep_an_admin`] commits only if
//! an admin is left, also when two nodes remove one each at the same time.
//! Not here: passwords as they are typed, projects (see `members`), sign-ins (see `sessions`).

use crate::place::Place;
use crate::sql::{Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::account::Email;
use openevent_domain::ambient::Millis;
use openevent_domain::id::UserId;

/// The table of accounts, for those who ask which key was taken.
pub const TABLE: &str = "users";
/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

/// Somebody's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Its id.
    pub id: UserId,
    /// The address they sign in with.
    pub email: Email,
    /// Their password, hashed.
    pub password_hash: String,
    /// Whether they are an admin of the whole instance.
    pub is_admin: bool,
    /// Since when they may not sign in.
    pub disabled_at: Option<Millis>,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

static ADD: Sql = Sql::same(
    "INSERT INTO users (id, email, email_key, password_hash, is_admin, disabled_at, version, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
static CHANGE: Sql = Sql::same(
    "UPDATE users SET email = $1, email_key = $2, password_hash = $3, is_admin = $4, disabled_at = $5, version = $6, \
     updated_at = $7 WHERE id = $8 AND version = $9",
);
static DELETE: Sql = Sql::same("DELETE FROM users WHERE id = $1 AND version = $2");
static LEAVE_PROJECTS: Sql = Sql::same("DELETE FROM members WHERE user_id = $1");
// Whoever takes away admins queues up at this row; the check below is a statement of its own, so that it sees what
// those before it did.
static TURN: Sql = Sql::same(
    "INSERT INTO cursors (name, seq) VALUES ('admins', 1) ON CONFLICT (name) DO UPDATE SET seq = cursors.seq + 1",
);
static KEEP: Sql = Sql::same(
    "UPDATE cursors SET seq = seq WHERE name = 'admins' \
     AND EXISTS (SELECT 1 FROM users WHERE is_admin = 1 AND disabled_at IS NULL)",
);
const COLUMNS: &str =
    "SELECT id, email, password_hash, is_admin, disabled_at, version, created_at, updated_at FROM users";
const ADMIN: &str = "SELECT id FROM users WHERE is_admin = 1 AND disabled_at IS NULL AND id <> $1 LIMIT 1";

pub(crate) const STATEMENTS: &[&Sql] = &[&ADD, &CHANGE, &DELETE, &LEAVE_PROJECTS, &TURN, &KEEP];

impl WriteSet {
    /// A new account; fails with `Exists` of [`TABLE`] when its address is taken.
    pub fn add_user(&mut self, user: &UserRecord) {
        let args: [Value; 9] = [
            user.id.as_str().into(),
            user.email.as_str().into(),
            user.email.key().into(),
            user.password_hash.as_str().into(),
            user.is_admin.into(),
            user.disabled_at.into(),
            user.version.into(),
            user.created_at.into(),
            user.updated_at.into(),
        ];
        self.write(&ADD, args, Expect::One("the user was not added"));
    }

    /// An account as it is now, which was at `version` when that was decided.
    pub fn change_user(&mut self, user: &UserRecord, version: i64) {
        let args: [Value; 9] = [
            user.email.as_str().into(),
            user.email.key().into(),
            user.password_hash.as_str().into(),
            user.is_admin.into(),
            user.disabled_at.into(),
            user.version.into(),
            user.updated_at.into(),
            user.id.as_str().into(),
            version.into(),
        ];
        self.write(&CHANGE, args, Expect::One("the user was changed meanwhile"));
    }

    /// Removes an account that is still at this version, with its memberships and sign-ins.
    pub fn delete_user(&mut self, user: &UserRecord) {
        self.end_sessions(&user.id);
        self.write(&LEAVE_PROJECTS, [user.id.as_str().into()], Expect::Any);
        let args = [user.id.as_str().into(), user.version.into()];
        self.write(&DELETE, args, Expect::One("the user was changed meanwhile"));
    }

    /// Waits for others who change who is an admin. Before the change.
    pub fn take_turn_at_admins(&mut self) {
        self.write(&TURN, [], Expect::Any);
    }

    /// Fails the set unless an admin is left who may sign in. After the change.
    pub fn keep_an_admin(&mut self) {
        self.write(&KEEP, [], Expect::One("no admin would be left"));
    }
}

impl Store {
    /// One account.
    pub async fn user(&self, id: &UserId) -> Result<Option<UserRecord>, Error> {
        self.row(by_id(id)).await?.map(record).transpose()
    }

    /// The account of an address, in the form in which two are compared.
    pub async fn user_by_email(&self, key: &str) -> Result<Option<UserRecord>, Error> {
        self.row(by_email(key)).await?.map(record).transpose()
    }

    /// A page of all accounts, newest first: for admins of the instance.
    pub async fn users(&self, place: &Place, limit: i64) -> Result<Vec<UserRecord>, Error> {
        self.rows(list(place, limit)).await?.into_iter().map(record).collect()
    }

    /// How many accounts there are, at most [`COUNT_MAX`].
    pub async fn users_count(&self) -> Result<i64, Error> {
        self.count(all(Select::new("SELECT 1 AS one FROM users", [])), COUNT_MAX).await
    }

    /// Whether there is an admin who may sign in.
    pub async fn has_admin(&self) -> Result<bool, Error> {
        Ok(self.row(Select::new(ADMIN, ["".into()])).await?.is_some())
    }

    /// Whether there is an admin who may sign in beside this one.
    pub async fn has_admin_beside(&self, id: &UserId) -> Result<bool, Error> {
        Ok(self.row(Select::new(ADMIN, [id.as_str().into()])).await?.is_some())
    }
}

fn by_id(id: &UserId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE id =", id.as_str())
}

fn by_email(key: &str) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE email_key =", key)
}

/// Every account, read off the index of ids.
fn all(select: Select) -> Select {
    select.then_arg("WHERE id >", "")
}

fn list(place: &Place, limit: i64) -> Select {
    place.newest_first(all(Select::new(COLUMNS, [])), "id", limit)
}

/// Reads the columns of an account, wherever they stand in a row.
pub(crate) fn read(row: &mut Row) -> Result<UserRecord, Error> {
    Ok(UserRecord {
        id: UserId::trusted(row.text()?),
        email: Email::trusted(row.text()?),
        password_hash: row.text()?,
        is_admin: row.int()? == 1,
        disabled_at: row.int_or_null()?,
        version: row.int()?,
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}

fn record(mut row: Row) -> Result<UserRecord, Error> {
    read(&mut row)
}

pub(crate) fn selects() -> Vec<Select> {
    vec![
        by_id(&UserId::trusted("x".into())),
        by_email("x"),
        list(&Place::Offset(0), 1),
        list(&Place::After("x".into()), 1),
        all(Select::new("SELECT 1 AS one FROM users", [])),
        Select::new(ADMIN, ["x".into()]),
    ]
}
