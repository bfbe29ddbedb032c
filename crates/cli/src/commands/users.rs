//! `users create|list|disable|enable|set-password|delete`: accounts straight on the store.
//!
//! Invariant: no output holds a password or its hash; the last admin stays, as over HTTP.
//! Not here: the same over HTTP, who belongs to which project (`members`).

use super::stdin;
use crate::args::{Account, Users};
use crate::config::Config;
use crate::failure::{explain, failed, usage};
use crate::node::{Node, explain_store};
use crate::output::{Output, Style, clean, columns};
use openevent_domain::account::{Email, PASSWORD_CHARS_MAX, check_password, key_of};
use openevent_domain::id::UserId;
use openevent_domain::signal::rfc3339;
use openevent_server::app::audit::{self, Act, Who};
use openevent_server::app::{passwords, users};
use openevent_server::face::problem::Problem;
use openevent_store::audit::instance;
use openevent_store::place::Place;
use openevent_store::users::UserRecord;
use openevent_store::{Error, WriteSet};
use secrecy::SecretString;
use serde_json::json;

/// Accounts a list shows at most.
const LISTED_MAX: i64 = 10_000;
/// The longest password in UTF-8.
const PASSWORD_BYTES_MAX: u64 = 4 * PASSWORD_CHARS_MAX as u64;

/// Runs one of the six.
pub(crate) async fn run(users: Users, config: Config, output: Output) -> anyhow::Result<()> {
    let password = match &users {
        Users::Create { email, .. } => {
            read_email(email)?;
            Some(read_password()?)
        }
        Users::SetPassword { .. } => Some(read_password()?),
        _ => None,
    };
    let node = Node::open(config).await?;
    match (users, password) {
        (Users::Create { email, admin, .. }, Some(password)) => {
            let standing = if admin { users::Standing::Admin } else { users::Standing::Member };
            create(&node, &read_email(&email)?, standing, &password, output).await?;
        }
        (Users::SetPassword { account, .. }, Some(password)) => {
            let password_hash = hash(&node, &password)?;
            change(&node, &account, "changed", |user| UserRecord { password_hash, ..user }, output).await?;
        }
        (Users::Disable(account), _) => {
            let now = node.clock.now();
            let off = |user: UserRecord| UserRecord { disabled_at: user.disabled_at.or(Some(now)), ..user };
            change(&node, &account, "disabled", off, output).await?;
        }
        (Users::Enable(account), _) => {
            let on = |user: UserRecord| UserRecord { disabled_at: None, ..user };
            change(&node, &account, "enabled", on, output).await?;
        }
        (Users::Delete(account), _) => delete(&node, &account, output).await?,
        _ => list(&node, output).await?,
    }
    node.close().await;
    Ok(())
}

fn read_email(text: &str) -> anyhow::Result<Email> {
    Email::parse(text).map_err(|issue| usage(format!("--email {issue}"), "such as ada@example.org"))
}

fn read_password() -> anyhow::Result<SecretString> {
    let text = stdin::line("the password", PASSWORD_BYTES_MAX)?;
    check_password(&text).map_err(|issue| usage(format!("the password {issue}"), ""))?;
    Ok(text.into())
}

fn hash(node: &Node, password: &SecretString) -> anyhow::Result<String> {
    passwords::hash_now(password, node.chance.as_ref())
        .map_err(|cause| explain(cause, "cannot hash the password", ""))
}

async fn create(
    node: &Node,
    email: &Email,
    standing: users::Standing,
    password: &SecretString,
    output: Output,
) -> anyhow::Result<()> {
    let now = node.clock.now();
    let user = UserRecord {
        id: UserId::mint(now, node.chance.as_ref()),
        email: email.clone(),
        password_hash: hash(node, password)?,
        is_admin: standing == users::Standing::Admin,
        disabled_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let mut set = WriteSet::new();
    set.add_user(&user);
    note(node, &mut set, Act::made("user.create", user.id.as_str(), &users::shown(&user)));
    node.store.submit(set).await.map_err(|cause| match cause {
        Error::Exists { .. } => {
            failed(format!("{email} has an account already"), "see `openevent users list`")
        }
        other => explain_store(other, "cannot store the account", &node.config),
    })?;
    output.answer(&users::shown(&user), || {
        format!("{} {} {email}", output.paint(Style::Green, "made"), user.id)
    })
}

fn note(node: &Node, set: &mut WriteSet, act: Act<'_>) {
    set.add_audit(&audit::row(node.chance.as_ref(), instance(), &Who::CLI, act, node.clock.now()));
}

/// The account of an address or id.
pub(super) async fn find(node: &Node, wanted: &str) -> anyhow::Result<UserRecord> {
    let found = match UserId::parse(wanted) {
        Some(id) => node.store.user(&id).await,
        None => node.store.user_by_email(&key_of(wanted)).await,
    };
    let found = found.map_err(|cause| explain_store(cause, "cannot read the accounts", &node.config))?;
    let hint = "`openevent users list` shows them";
    found.ok_or_else(|| failed(format!("there is no account {}", clean(wanted)), hint))
}

/// A refusal of the rules, in a line.
pub(super) fn refused(problem: &Problem) -> anyhow::Error {
    failed(problem.message().to_owned(), "")
}

async fn change(
    node: &Node,
    account: &Account,
    done: &str,
    change: impl FnOnce(UserRecord) -> UserRecord,
    output: Output,
) -> anyhow::Result<()> {
    let before = find(node, &account.user).await?;
    let mut after = change(before.clone());
    if after != before {
        after.version += 1;
        after.updated_at = node.clock.now().max(before.updated_at);
        let mut set = WriteSet::new();
        users::put(&node.store, &mut set, &before, &after).await.map_err(|problem| refused(&problem))?;
        let (was, is) = (users::shown(&before), users::shown(&after));
        let mut act = Act::changed("user.update", before.id.as_str(), &was, &is);
        if after.password_hash != before.password_hash {
            users::tell_password(&mut act);
        }
        note(node, &mut set, act);
        let submitted = node.store.submit(set).await;
        submitted.map_err(|cause| explain_store(cause, "cannot change the account", &node.config))?;
    }
    output.answer(&users::shown(&after), || {
        format!("{} {}", output.paint(Style::Green, done), clean(after.email.as_str()))
    })
}

async fn delete(node: &Node, account: &Account, output: Output) -> anyhow::Result<()> {
    let user = find(node, &account.user).await?;
    let mut set = WriteSet::new();
    users::take_away(&node.store, &mut set, &user).await.map_err(|problem| refused(&problem))?;
    note(node, &mut set, Act::gone("user.delete", user.id.as_str(), &users::shown(&user)));
    let submitted = node.store.submit(set).await;
    submitted.map_err(|cause| explain_store(cause, "cannot delete the account", &node.config))?;
    output.answer(&json!({"id": user.id, "deleted": true}), || {
        format!("{} {}", output.paint(Style::Green, "deleted"), clean(user.email.as_str()))
    })
}

async fn list(node: &Node, output: Output) -> anyhow::Result<()> {
    let found = node.store.users(&Place::Offset(0), LISTED_MAX).await;
    let found = found.map_err(|cause| explain_store(cause, "cannot read the accounts", &node.config))?;
    let shown: Vec<_> = found.iter().map(users::shown).collect();
    output.answer(&shown, || table(&found, output))
}

fn table(found: &[UserRecord], output: Output) -> String {
    if found.is_empty() {
        return "No accounts yet. Make one with `openevent users create --email E --password-stdin --admin`."
            .to_owned();
    }
    let head = ["ID", "E-MAIL", "ADMIN", "STATE", "MADE"].map(str::to_owned).to_vec();
    let row = |user: &UserRecord| {
        let admin = if user.is_admin { "yes" } else { "" };
        let state = if user.disabled_at.is_some() { "disabled" } else { "active" };
        let email = clean(user.email.as_str());
        vec![user.id.to_string(), email, admin.to_owned(), state.to_owned(), rfc3339(user.created_at)]
    };
    let text = columns(&std::iter::once(head).chain(found.iter().map(row)).collect::<Vec<_>>());
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", output.paint(Style::Bold, head))
}
