//! `secrets set|list|delete|rotate-key`: straight on the store and its key file, with or without a running server.
//!
//! Invariant: no output holds a value.
//! Not here: the same over HTTP, for those who are not the operator.

use super::stdin;
use crate::args::{ProjectData, Secrets};
use crate::config::Config;
use crate::failure::{explain, failed, usage};
use crate::node::{Node, explain_store};
use crate::output::{Output, Style, columns};
use openevent_domain::signal::rfc3339;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_engine::{Secret, SecretSettings, Vault, VaultError, rotate_key};
use openevent_server::app::audit::Act;
use openevent_store::audit::instance;
use openevent_store::seal::KeyFile;
use openevent_store::{Error, WriteSet};
use serde_json::json;
use std::sync::Arc;

/// The longest value.
const VALUE_BYTES_MAX: u64 = 64 * 1024;
/// The longest name.
const NAME_CHARS_MAX: usize = 100;

/// Runs one of the four.
pub(crate) async fn run(secrets: Secrets, config: Config, output: Output) -> anyhow::Result<()> {
    let given = match &secrets {
        Secrets::Set { name, value, value_stdin, .. } => {
            check_name(name)?;
            Some(read(value.as_deref(), *value_stdin)?)
        }
        _ => None,
    };
    let node = Node::open(config).await?;
    match (&secrets, given) {
        (Secrets::Set { name, of, .. }, Some(secret)) => set(&node, name, of, &secret, output).await?,
        (Secrets::List { of }, _) => list(&node, of, output).await?,
        (Secrets::Delete { name, of }, _) => delete(&node, name, of, output).await?,
        _ => rotate(&node, output).await?,
    }
    node.close().await;
    Ok(())
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(is_good) {
        return Ok(());
    }
    Err(usage("this is no name for a secret", "1 to 100 letters, digits, dots, dashes or underscores"))
}

fn read(value: Option<&str>, from_stdin: bool) -> anyhow::Result<Secret> {
    let text = match value {
        Some(text) => text.to_owned(),
        None if from_stdin => stdin::line("the value", VALUE_BYTES_MAX)?,
        None => return Err(usage("a value is needed", "give it with --value-stdin, or with --value")),
    };
    if text.is_empty() || text.len() as u64 > VALUE_BYTES_MAX {
        return Err(usage("this is no value for a secret", format!("1 to {VALUE_BYTES_MAX} bytes")));
    }
    Ok(Secret::of_variable(&text))
}

async fn tenant(node: &Node, of: &ProjectData) -> anyhow::Result<Tenant> {
    let project = node.project(&of.project).await?;
    let environment = of.environment.map_or(Environment::Live, Environment::from);
    Ok(Tenant::of(&project.id, environment))
}

fn vault(node: &Node) -> Vault {
    let key_file = Some(node.config.key_file.clone());
    let settings = SecretSettings { key_file, ..SecretSettings::default() };
    Vault::new(Arc::clone(&node.store), &settings, Arc::clone(&node.clock), Arc::clone(&node.chance))
}

fn explain_vault(cause: VaultError, what: &str, node: &Node) -> anyhow::Error {
    match cause {
        VaultError::Store(cause) => explain_store(cause, what, &node.config),
        other => {
            let hint = format!(
                "see that {} is there as it was, or name it with OPENEVENT_KEY_FILE",
                node.config.key_file.display()
            );
            explain(other, what, hint)
        }
    }
}

async fn set(
    node: &Node,
    name: &str,
    of: &ProjectData,
    secret: &Secret,
    output: Output,
) -> anyhow::Result<()> {
    let tenant = tenant(node, of).await?;
    let set = noted(node, &tenant, "secret.put", name);
    let put = vault(node).put(set, &tenant, name, secret, node.clock.now()).await;
    let put = put.map_err(|cause| explain_vault(cause, "cannot put the secret", node))?;
    let done = if put.is_replaced { "replaced" } else { "put" };
    output.answer(&json!({"name": name, "replaced": put.is_replaced}), || {
        format!("{} {name}", output.paint(Style::Green, done))
    })
}

/// A set that tells the audit log what else is in it.
fn noted(node: &Node, tenant: &Tenant, act: &'static str, name: &str) -> WriteSet {
    let mut set = WriteSet::new();
    set.add_audit(&node.told(tenant.clone(), Act::done(act, name)));
    set
}

async fn list(node: &Node, of: &ProjectData, output: Output) -> anyhow::Result<()> {
    let tenant = tenant(node, of).await?;
    let found = vault(node).list(&tenant).await;
    let found = found.map_err(|cause| explain_vault(cause, "cannot read the secrets", node))?;
    let shown: Vec<_> = found
        .iter()
        .map(|one| json!({"name": one.name, "createdAt": one.created_at, "updatedAt": one.updated_at}))
        .collect();
    output.answer(&shown, || {
        if found.is_empty() {
            return "No secrets yet. Put one with `openevent secrets set NAME --value-stdin`.".to_owned();
        }
        let head = ["NAME", "PUT"].map(str::to_owned).to_vec();
        let rows = found.iter().map(|one| vec![one.name.clone(), rfc3339(one.updated_at)]);
        let text = columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{}\n{rest}", output.paint(Style::Bold, head))
    })
}

async fn delete(node: &Node, name: &str, of: &ProjectData, output: Output) -> anyhow::Result<()> {
    let tenant = tenant(node, of).await?;
    let set = noted(node, &tenant, "secret.delete", name);
    vault(node).delete(set, &tenant, name).await.map_err(|cause| match cause {
        VaultError::Store(Error::Missed(_)) => {
            failed(format!("there is no secret {name}"), "`openevent secrets list` shows them")
        }
        other => explain_vault(other, "cannot delete the secret", node),
    })?;
    output.answer(&json!({"name": name, "deleted": true}), || {
        format!("{} {name}", output.paint(Style::Green, "deleted"))
    })
}

async fn rotate(node: &Node, output: Output) -> anyhow::Result<()> {
    let keys = KeyFile::at(node.config.key_file.clone());
    let resealed = rotate_key(&node.store, &keys, node.chance.as_ref()).await;
    let resealed = resealed.map_err(|cause| explain_vault(cause, "cannot seal the secrets anew", node))?;
    let mut set = WriteSet::new();
    set.add_audit(&node.told(instance(), Act::done("secret.rotate_key", "all")));
    let told = node.store.submit(set).await;
    told.map_err(|cause| explain_store(cause, "cannot write the audit log", &node.config))?;
    output.answer(&json!({"resealed": resealed, "keyFile": keys.path()}), || {
        format!("{} {resealed} secrets sealed under a new key", output.paint(Style::Green, "rotated"))
    })
}
