//! The first admin: made through a link that the server prints while there is none.
//!
//! Invariant: a link makes one admin, and none when there is one already, however many are used at once. Only the
//! hash of its token is stored.
//! Not here: the page; how the link is shown to the operator (the binary).

use crate::app::audit::{self, Act};
use crate::app::sessions::{Fresh, Visitor, who};
use crate::app::users;
use crate::face::problem::{Code, FieldIssue, Problem};
use crate::state::App;
use openevent_domain::account::{Email, check_password, mint_token, token_hash};
use openevent_domain::ambient::Millis;
use openevent_domain::role::Role;
use openevent_domain::tenant::DEFAULT_PROJECT;
use openevent_store::audit::instance;
use openevent_store::{Error, WriteSet};
use secrecy::{ExposeSecret as _, SecretString};

/// How long a link is good for.
const LINK_MS: i64 = 24 * 3_600_000;

/// A path that makes the first admin; `None` when there is one.
pub async fn offer(app: &App) -> Result<Option<String>, Error> {
    if app.store.has_admin().await? {
        return Ok(None);
    }
    let now = app.clock.now();
    let token = mint_token(app.chance.as_ref());
    let mut set = WriteSet::new();
    set.add_setup_link(&token_hash(&token), now + LINK_MS, now);
    app.store.submit(set).await?;
    Ok(Some(format!("/setup/{token}")))
}

/// Refuses a link that is no good (any more).
pub async fn check(app: &App, token: &str, now: Millis) -> Result<(), Problem> {
    let is_good = app.store.is_setup_link(&token_hash(token), now).await? && !app.store.has_admin().await?;
    if is_good { Ok(()) } else { Err(used_up()) }
}

fn used_up() -> Problem {
    Problem::not_found("Link").with_message(
        "This link was used, is older than a day, or was not made by this server. While there is no admin, \
         the server prints a new one when it starts.",
    )
}

/// Makes the first admin, owner of the default project, and signs them in.
pub async fn claim(
    app: &App,
    token: &str,
    email: &str,
    password: SecretString,
    visitor: &Visitor,
    now: Millis,
) -> Result<Fresh, Problem> {
    check(app, token, now).await?;
    let (parsed, checked) = (Email::parse(email), check_password(password.expose_secret()));
    let issue = |field: &str, bad: Option<String>| bad.map(|issue| FieldIssue::new(field, issue));
    let bad_email = issue("email", parsed.as_ref().err().cloned());
    let issues: Vec<_> = bad_email.into_iter().chain(issue("password", checked.err())).collect();
    let Some(email) = parsed.ok().filter(|_| issues.is_empty()) else { return Err(Problem::fields(issues)) };
    let password_hash = app.passwords.hash(password, app.chance.as_ref()).await?;
    let user = users::new(app, email, password_hash, users::Standing::Admin, now);
    let fresh = Fresh::begin(app, &user.id, visitor, now);
    let project = app.store.project(DEFAULT_PROJECT).await?;
    let project = project.ok_or_else(|| Problem::not_found("Project"))?;
    let mut set = WriteSet::new();
    set.use_setup_link(&token_hash(token), now);
    set.add_user(&user);
    set.add_member(&project.id, &user.id, Role::Owner, now);
    fresh.add(app, &mut set, now);
    let act = Act::made("user.setup", user.id.as_str(), &users::shown(&user));
    set.add_audit(&audit::row(app.chance.as_ref(), instance(), &who(&user, &visitor.origin), act, now));
    match app.store.submit(set).await {
        Ok(()) => Ok(fresh),
        Err(Error::Missed(_)) => Err(used_up()),
        Err(Error::Exists { table }) if table == openevent_store::users::TABLE => {
            Err(Problem::new(Code::Conflict, "There is a user with this e-mail address already"))
        }
        Err(error) => Err(error.into()),
    }
}
