//! `sources list|create|delete|outbox-sql`: whose webhooks a running server takes in, and what the owner of another
//! database runs there.
//!
//! Invariant: a secret is read from standard input, so that no list of processes shows it, and never printed.
//! Not here: what comes in.

use super::stdin;
use crate::args::{Remote as Flags, Sources};
use crate::config::{Config, Environment};
use crate::failure::usage;
use crate::output::{Output, Style, clean, columns};
use crate::remote::{Body, Remote};
use http::Method;
use openevent_sources::Table;
use serde_json::{Value, json};

/// The longest secret.
const SECRET_BYTES_MAX: u64 = 1_024;

/// Runs one of them.
pub(crate) async fn run(
    sources: Sources,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<()> {
    let to = |flags: &Flags| Remote::new(flags, config, environment);
    match sources {
        Sources::List { remote } => list(&to(&remote)?, output).await,
        Sources::Create { name, preset, secret_stdin, event_name, event_id, payload, signature, remote } => {
            let secret = secret_stdin.then(|| stdin::line("the secret", SECRET_BYTES_MAX)).transpose()?;
            let signature = signature.map(|text| rule(&text)).transpose()?;
            let body = json!({
                "name": name, "preset": preset, "secret": secret, "eventName": event_name, "eventId": event_id,
                "payload": payload, "signature": signature,
            });
            create(&to(&remote)?, &body, output).await
        }
        Sources::OutboxSql { table } => outbox(&table, output),
        Sources::Delete { id, remote } => {
            let answer = to(&remote)?.ask(Method::DELETE, &["sources", &id], &[], None).await?;
            output.answer(&answer, || format!("{} {id}", output.paint(Style::Green, "deleted")))
        }
    }
}

fn outbox(table: &str, output: Output) -> anyhow::Result<()> {
    let parsed = Table::parse(table);
    let parsed = parsed.map_err(|bad| usage(bad.to_string(), "such as --table app.openevent_outbox"))?;
    let sql = parsed.make();
    output.answer(&json!({"table": table, "sql": sql}), || sql.clone())
}

fn rule(text: &str) -> anyhow::Result<Value> {
    let hint = r#"such as --signature '{"header":"X-Signature","prefix":"sha256="}'"#;
    serde_json::from_str(text).map_err(|cause| usage(format!("--signature is not JSON: {cause}"), hint))
}

fn text(object: &Value, name: &str) -> String {
    clean(object[name].as_str().unwrap_or_default())
}

async fn list(remote: &Remote, output: Output) -> anyhow::Result<()> {
    let answer = remote.get(&["sources"], &[("limit", "100")]).await?;
    output.answer(&answer, || {
        let row = |source: &Value| {
            ["id", "status", "preset", "name", "path"].map(|name| text(source, name)).to_vec()
        };
        let rows: Vec<_> = answer["data"].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() { "No sources.".to_owned() } else { columns(&rows) }
    })
}

async fn create(remote: &Remote, body: &Value, output: Output) -> anyhow::Result<()> {
    let body = Body { media: "application/json", bytes: body.to_string().into() };
    let answer = remote.ask(Method::POST, &["sources"], &[], Some(body)).await?;
    output.answer(&answer, || {
        let data = &answer["data"];
        format!("{}\n{}", text(data, "id"), remote.shown(&text(data, "path")))
    })
}
