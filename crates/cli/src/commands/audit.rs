//! `audit list`: who wrote what on a running server, newest first.
//!
//! Invariant: what others wrote is cleaned before it reaches a terminal.
//! Not here: what is told and what is not (docs/audit.md).

use crate::args::Audit;
use crate::config::{Config, Environment};
use crate::output::{Output, Style, clean, columns};
use crate::remote::Remote;
use openevent_domain::signal::rfc3339;
use serde_json::Value;

/// Lists it.
pub(crate) async fn run(
    audit: Audit,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<()> {
    let Audit::List { scope, actor, action, target, limit, remote } = audit;
    let remote = Remote::new(&remote, config, environment)?;
    let limit = limit.to_string();
    let filters = [
        ("scope", scope.as_deref()),
        ("actor", actor.as_deref()),
        ("action", action.as_deref()),
        ("target", target.as_deref()),
        ("limit", Some(limit.as_str())),
    ];
    let query: Vec<_> = filters.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let answer = remote.get(&["audit"], &query).await?;
    output.answer(&answer, || table(&answer, output))
}

fn table(answer: &Value, output: Output) -> String {
    let rows = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "Nothing was written.".to_owned();
    }
    let head = ["TIME", "ACTOR", "ACTION", "TARGET", "CHANGED"].map(str::to_owned).to_vec();
    let text = columns(&std::iter::once(head).chain(rows.iter().map(row)).collect::<Vec<_>>());
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", output.paint(Style::Bold, head))
}

fn row(row: &Value) -> Vec<String> {
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let at = row["createdAt"].as_i64().map(rfc3339).unwrap_or_default();
    let actor = &row["actor"];
    let who = if actor["name"].is_string() { text(&actor["name"]) } else { text(&actor["id"]) };
    let actor = format!("{} {who}", text(&actor["kind"]));
    let fields = row["after"].as_object().or_else(|| row["before"].as_object());
    let changed = fields.map(|fields| fields.keys().map(|key| clean(key)).collect::<Vec<_>>().join(","));
    vec![at, actor, text(&row["action"]), text(&row["target"]["id"]), changed.unwrap_or_default()]
}
