//! Sign-ins of people, and the links that make the first admin.
//!
//! Invariant: a token is found by its hash alone; its text is never here. A link makes an admin only while there is
//! none, and two links at once make one.
//! Not here: how long either is good for.

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::users::{self, UserRecord};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{SessionId, UserId};

/// Sign-ins of one person that are kept at most; the oldest go.
pub const SESSIONS_MAX: i64 = 100;

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// SHA-256 of the token in the cookie, lower-case hex.
    pub token_hash: String,
    /// What the browser calls itself.
    pub agent: String,
    /// Where they signed in from.
    pub address: String,
    /// When they signed in.
    pub created_at: Millis,
    /// When they were last seen, within a minute or so.
    pub seen_at: Millis,
}

static ADD: Sql = Sql::same(
    "INSERT INTO sessions (id, user_id, token_hash, agent, address, created_at, seen_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)",
);
static END: Sql = Sql::same("DELETE FROM sessions WHERE user_id = $1 AND id = $2");
static END_ALL: Sql = Sql::same("DELETE FROM sessions WHERE user_id = $1");
static END_OLD: Sql =
    Sql::same("DELETE FROM sessions WHERE user_id = $1 AND (created_at < $2 OR seen_at < $3)");
static END_MANY: Sql = Sql::same(
    "DELETE FROM sessions WHERE user_id = $1 \
     AND id NOT IN (SELECT id FROM sessions WHERE user_id = $2 ORDER BY id DESC LIMIT $3)",
);
static TOUCH: Bulk = Bulk::update(
    "sessions",
    &[("id", Kind::Text), ("seen_at", Kind::Int)],
    "id",
    "seen_at = given.seen_at",
    "AND sessions.seen_at < given.seen_at",
);
static ADD_LINK: Sql = Sql::same("INSERT INTO setup_links (token_hash, expires_at) VALUES ($1, $2)");
static DROP_LINKS: Sql = Sql::same("DELETE FROM setup_links WHERE expires_at <= $1");
static USE_LINK: Sql = Sql::same(
    "DELETE FROM setup_links WHERE token_hash = $1 AND expires_at > $2 \
     AND NOT EXISTS (SELECT 1 FROM users WHERE is_admin = 1 AND disabled_at IS NULL)",
);
const COLUMNS: &str = "SELECT sessions.id, sessions.user_id, sessions.token_hash, sessions.agent, sessions.address, \
                       sessions.created_at, sessions.seen_at";
const JOINED: &str = "FROM sessions JOIN users ON users.id = sessions.user_id";
const USER: &str = "users.id, users.email, users.password_hash, users.is_admin, users.disabled_at, users.version, \
                    users.created_at, users.updated_at";
const LINK: &str = "SELECT token_hash FROM setup_links WHERE token_hash = $1 AND expires_at > $2";

pub(crate) const STATEMENTS: &[&Sql] =
    &[&ADD, &END, &END_ALL, &END_OLD, &END_MANY, &ADD_LINK, &DROP_LINKS, &USE_LINK];
pub(crate) const BULKS: &[&Bulk] = &[&TOUCH];

impl WriteSet {
    /// A sign-in. Their sign-ins that are over go, and the oldest beyond [`SESSIONS_MAX`].
    pub fn add_session(&mut self, session: &SessionRecord, created_after: Millis, seen_after: Millis) {
        let user = session.user_id.as_str();
        self.write(&END_OLD, [user.into(), created_after.into(), seen_after.into()], Expect::Any);
        self.write(&END_MANY, [user.into(), user.into(), (SESSIONS_MAX - 1).into()], Expect::Any);
        let args: [Value; 7] = [
            session.id.as_str().into(),
            user.into(),
            session.token_hash.as_str().into(),
            session.agent.as_str().into(),
            session.address.as_str().into(),
            session.created_at.into(),
            session.seen_at.into(),
        ];
        self.write(&ADD, args, Expect::One("the session was not added"));
    }

    /// Notes when somebody was last seen.
    pub fn touch_session(&mut self, id: &SessionId, at: Millis) {
        self.row(&TOUCH, [id.as_str().into(), at.into()]);
    }

    /// Ends one of somebody's sign-ins.
    pub fn end_session(&mut self, user: &UserId, id: &SessionId) {
        self.write(&END, [user.as_str().into(), id.as_str().into()], Expect::One("no such session"));
    }

    /// Ends one of somebody's sign-ins, if it is still there.
    pub fn end_session_if_any(&mut self, user: &UserId, id: &SessionId) {
        self.write(&END, [user.as_str().into(), id.as_str().into()], Expect::Any);
    }

    /// Ends all of somebody's sign-ins.
    pub fn end_sessions(&mut self, user: &UserId) {
        self.write(&END_ALL, [user.as_str().into()], Expect::Any);
    }

    /// A link that makes the first admin. Those that are over go.
    pub fn add_setup_link(&mut self, token_hash: &str, expires_at: Millis, now: Millis) {
        self.write(&DROP_LINKS, [now.into()], Expect::Any);
        self.write(&ADD_LINK, [token_hash.into(), expires_at.into()], Expect::One("the link was not added"));
    }

    /// Uses up such a link; fails the set when it is no good, or when there is an admin. Other links go too.
    pub fn use_setup_link(&mut self, token_hash: &str, now: Millis) {
        self.take_turn_at_admins();
        self.write(&USE_LINK, [token_hash.into(), now.into()], Expect::One("the link is no good any more"));
        self.write(&DROP_LINKS, [Millis::MAX.into()], Expect::Any);
    }
}

impl Store {
    /// The sign-in with this hash and whose it is, whether usable or not. This is authentication.
    pub async fn session_by_hash(&self, hash: &str) -> Result<Option<(SessionRecord, UserRecord)>, Error> {
        self.row(by_hash(hash)).await?.map(signed_in).transpose()
    }

    /// Somebody's sign-ins, oldest first.
    pub async fn sessions(&self, user: &UserId) -> Result<Vec<SessionRecord>, Error> {
        self.rows(of(user)).await?.into_iter().map(|mut row| session(&mut row)).collect()
    }

    /// Whether such a link may still be used.
    pub async fn is_setup_link(&self, token_hash: &str, now: Millis) -> Result<bool, Error> {
        Ok(self.row(Select::new(LINK, [token_hash.into(), now.into()])).await?.is_some())
    }
}

fn by_hash(hash: &str) -> Select {
    let select = Select::new(COLUMNS, []).then(&format!(", {USER} {JOINED}"));
    select.then_arg("WHERE sessions.token_hash =", hash)
}

fn of(user: &UserId) -> Select {
    let select = Select::new(COLUMNS, []).then_arg("FROM sessions WHERE sessions.user_id =", user.as_str());
    select.then_arg("ORDER BY sessions.id LIMIT", SESSIONS_MAX)
}

fn session(row: &mut Row) -> Result<SessionRecord, Error> {
    Ok(SessionRecord {
        id: SessionId::trusted(row.text()?),
        user_id: UserId::trusted(row.text()?),
        token_hash: row.text()?,
        agent: row.text()?,
        address: row.text()?,
        created_at: row.int()?,
        seen_at: row.int()?,
    })
}

fn signed_in(mut row: Row) -> Result<(SessionRecord, UserRecord), Error> {
    Ok((session(&mut row)?, users::read(&mut row)?))
}

pub(crate) fn selects() -> Vec<Select> {
    vec![by_hash("x"), of(&UserId::trusted("x".into())), Select::new(LINK, ["x".into(), 1.into()])]
}
