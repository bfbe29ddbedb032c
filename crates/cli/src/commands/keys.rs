//! `keys create|list|revoke`: API keys straight on the store, with or without a running server.
//!
//! Invariant: a key's text is printed once, when it is made, and stored only as its hash.
//! Not here: the same over HTTP, for those who are not the operator.

use crate::args::{KeyCreate, Keys};
use crate::config::Config;
use crate::failure::{failed, usage};
use crate::node::{Node, explain_store};
use crate::output::{Output, Style, clean, columns};
use openevent_domain::ambient::Millis;
use openevent_domain::api_key;
use openevent_domain::id::KeyId;
use openevent_domain::scope::{KNOWN, Scopes};
use openevent_domain::signal::rfc3339;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_server::app::audit::Act;
use openevent_store::audit::instance;
use openevent_store::keys::{KeyRecord, Project};
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// The longest name of a key.
const NAME_CHARS_MAX: usize = 100;

/// Runs one of the three.
pub(crate) async fn run(keys: Keys, config: Config, output: Output) -> anyhow::Result<()> {
    let wanted = match &keys {
        Keys::Create(create) => Some(Wanted::read(create)?),
        _ => None,
    };
    let node = Node::open(config).await?;
    match (keys, wanted) {
        (Keys::Create(create), Some(wanted)) => make(&node, &create, wanted, output).await?,
        (Keys::Revoke { id, .. }, _) => revoke(&node, &id, output).await?,
        _ => list(&node, output).await?,
    }
    node.close().await;
    Ok(())
}

/// What `create` was asked for, checked before the database is opened.
struct Wanted {
    name: String,
    scopes: Scopes,
    environment: Environment,
    literal: Option<String>,
}

impl Wanted {
    fn read(create: &KeyCreate) -> anyhow::Result<Self> {
        let name = create.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err(usage("this is no name for a key", "1 to 100 visible characters"));
        }
        let scopes = Scopes::parse(create.scopes.iter().map(String::as_str)).map_err(|unknown| {
            usage(
                unknown.to_string(),
                format!("known are {}; `events:*` and `*` match several", KNOWN.join(", ")),
            )
        })?;
        let given = create.environment.map(Environment::from);
        let environment = match &create.literal {
            Some(literal) => literal_environment(literal, given)?,
            None => given.unwrap_or(Environment::Live),
        };
        Ok(Self { name, scopes, environment, literal: create.literal.clone() })
    }
}

/// The environment a literal key names, which `--environment` may repeat but not contradict.
fn literal_environment(literal: &str, given: Option<Environment>) -> anyhow::Result<Environment> {
    let usable = literal.len() <= api_key::CHARS_MAX && literal.bytes().all(|byte| byte.is_ascii_graphic());
    let named = api_key::environment_of(literal).filter(|_| usable);
    let named = named.ok_or_else(|| {
        let hint =
            format!("oe_live_ or oe_test_ and visible ASCII, at most {} characters", api_key::CHARS_MAX);
        usage("the literal key is not usable", hint)
    })?;
    match given {
        Some(given) if given != named => {
            let what = format!(
                "the literal key is a {} key, but --environment says {}",
                named.as_str(),
                given.as_str()
            );
            Err(usage(what, "leave --environment out, or change the key's prefix"))
        }
        _ => Ok(named),
    }
}

/// The answer to `create`; the names are the contract's.
#[derive(Serialize)]
struct Made<'a> {
    id: &'a str,
    key: &'a str,
    name: &'a str,
    scopes: &'a [String],
    environment: &'a str,
    project: &'a str,
}

async fn make(node: &Node, create: &KeyCreate, wanted: Wanted, output: Output) -> anyhow::Result<()> {
    let now = node.clock.now();
    if create.expires_at.is_some_and(|at| at <= now) {
        return Err(usage("--expires-at has passed already", format!("Unix milliseconds; now is {now}")));
    }
    let project = node.project(&create.project).await?;
    let minted = || api_key::mint(wanted.environment, node.chance.as_ref());
    let key = wanted.literal.clone().unwrap_or_else(minted);
    let record = KeyRecord {
        id: KeyId::mint(now, node.chance.as_ref()),
        tenant: Tenant::of(&project.id, wanted.environment),
        project_id: project.id.clone(),
        name: wanted.name,
        key_hash: api_key::hash(&key),
        key_prefix: api_key::shown_prefix(&key),
        scopes: wanted.scopes,
        rate_limit: create.rate_limit,
        expires_at: create.expires_at,
        revoked_at: None,
        last_used_at: None,
        created_at: now,
        is_instance: true,
        created_by: None,
        version: 1,
    };
    let about = json!({
        "name": record.name, "prefix": record.key_prefix, "scopes": record.scopes.words(),
        "environment": wanted.environment.as_str(), "rateLimit": record.rate_limit, "expiresAt": record.expires_at,
    });
    let mut set = WriteSet::new();
    set.add_key(&record);
    set.add_audit(&node.told(record.tenant.clone(), Act::made("key.create", record.id.as_str(), &about)));
    node.store.submit(set).await.map_err(|cause| match cause {
        Error::Exists { .. } => failed("this key exists already", "see `openevent keys list`"),
        other => explain_store(other, "cannot store the key", &node.config),
    })?;
    let made = Made {
        id: record.id.as_str(),
        key: &key,
        name: &record.name,
        scopes: record.scopes.words(),
        environment: wanted.environment.as_str(),
        project: &project.name,
    };
    output.answer(&made, || made_text(&made, output))
}

fn made_text(made: &Made<'_>, output: Output) -> String {
    let remark = output.paint(Style::Dim, "Keep it now: it is not shown again.");
    let rows = [
        vec!["id".to_owned(), made.id.to_owned()],
        vec!["name".to_owned(), made.name.to_owned()],
        vec!["scopes".to_owned(), made.scopes.join(", ")],
        vec!["project".to_owned(), format!("{} ({})", made.project, made.environment)],
    ];
    format!("{}\n{remark}\n\n{}", output.paint(Style::Bold, made.key), columns(&rows))
}

/// One line of `list`, with the names of the HTTP API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    name: String,
    prefix: String,
    scopes: Vec<String>,
    environment: &'static str,
    project: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Millis>,
    created_at: Millis,
}

async fn list(node: &Node, output: Output) -> anyhow::Result<()> {
    let failed = |cause| explain_store(cause, "cannot read the keys", &node.config);
    let records = node.store.keys().await.map_err(failed)?;
    let mut projects: BTreeMap<String, Option<Project>> = BTreeMap::new();
    let mut listed = Vec::new();
    for record in records {
        let id = record.project_id.as_str();
        if !projects.contains_key(id) {
            projects
                .insert(id.to_owned(), node.store.project_by_id(&record.project_id).await.map_err(failed)?);
        }
        let name = projects
            .get(id)
            .and_then(Option::as_ref)
            .map_or_else(|| id.to_owned(), |found| found.name.clone());
        listed.push(line(record, name));
    }
    output.answer(&listed, || table(&listed, node.clock.now(), output))
}

fn line(record: KeyRecord, project: String) -> Listed {
    Listed {
        id: record.id.to_string(),
        name: record.name,
        prefix: record.key_prefix,
        scopes: record.scopes.words().to_vec(),
        environment: record.tenant.environment().as_str(),
        project,
        rate_limit: record.rate_limit,
        expires_at: record.expires_at,
        revoked_at: record.revoked_at,
        last_used_at: record.last_used_at,
        created_at: record.created_at,
    }
}

fn table(listed: &[Listed], now: Millis, output: Output) -> String {
    if listed.is_empty() {
        return "No keys yet. Make one with `openevent keys create --name NAME --scopes events:write`."
            .to_owned();
    }
    let head =
        ["ID", "PREFIX", "NAME", "PROJECT", "SCOPES", "LAST USED", "STATE"].map(str::to_owned).to_vec();
    let row = |key: &Listed| {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), rfc3339);
        let project = format!("{} ({})", key.project, key.environment);
        let cells =
            [key.id.clone(), key.prefix.clone(), clean(&key.name), clean(&project), key.scopes.join(",")];
        cells.into_iter().chain([used, state(key, now).to_owned()]).collect()
    };
    let text = columns(&std::iter::once(head).chain(listed.iter().map(row)).collect::<Vec<_>>());
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", output.paint(Style::Bold, head))
}

fn state(key: &Listed, now: Millis) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "active"
    }
}

async fn revoke(node: &Node, id: &str, output: Output) -> anyhow::Result<()> {
    let hint = "`openevent keys list` shows the ids";
    let id = KeyId::parse(id).ok_or_else(|| usage("this is no id of a key (key_…)", hint))?;
    let now = node.clock.now();
    let known = node
        .store
        .keys()
        .await
        .map_err(|cause| explain_store(cause, "cannot read the keys", &node.config))?;
    let tenant = known.into_iter().find(|key| key.id == id).map_or_else(instance, |key| key.tenant);
    let mut set = WriteSet::new();
    set.revoke_key(&id, now);
    set.add_audit(&node.told(tenant, Act::done("key.revoke", id.as_str())));
    node.store.submit(set).await.map_err(|cause| match cause {
        Error::Missed(_) => failed(format!("{id} does not exist, or is revoked already"), hint),
        other => explain_store(other, "cannot revoke the key", &node.config),
    })?;
    let answer = json!({"id": id, "revokedAt": now});
    output.answer(&answer, || format!("{} {id}", output.paint(Style::Green, "revoked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_key_decides_its_environment() {
        assert_eq!(literal_environment("oe_test_x", None).ok(), Some(Environment::Test));
        assert_eq!(literal_environment("oe_live_x", Some(Environment::Live)).ok(), Some(Environment::Live));
        assert!(literal_environment("oe_live_x", Some(Environment::Test)).is_err());
        for key in ["oe_x", "live_x", "oe_live_", "oe_live_a b", "oe_live_ä"] {
            assert!(literal_environment(key, None).is_err(), "{key}");
        }
        assert!(literal_environment(&format!("oe_live_{}", "x".repeat(505)), None).is_err());
    }
}
