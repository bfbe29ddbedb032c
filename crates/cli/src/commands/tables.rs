//! `import` and `export`: tables to a running server, and from it.
//!
//! Invariant: an export that broke off is a failure, never a shorter table; an import ends with 1 if a row is refused.
//! Not here: columns and rules (docs/csv.md).

use crate::args::{Export, Import, TableKind};
use crate::config::{Config, Environment};
use crate::failure::{Explain as _, usage};
use crate::output::{Output, Style, clean, columns};
use crate::remote::{Body, Remote};
use http::Method;
use serde_json::Value;
use std::io::Write as _;
use std::process::ExitCode;

const MEDIA: &str = "text/csv";

/// Where the things of a table are.
fn place(kind: TableKind, event: Option<&str>) -> anyhow::Result<Vec<&str>> {
    match (kind.is_part(), event) {
        (false, None) => Ok(vec![kind.word()]),
        (true, Some(event)) => Ok(vec!["events", event, kind.word()]),
        (true, None) => Err(usage(format!("{} belong to an event", kind.word()), "name it with --event ID")),
        (false, Some(_)) => Err(usage("--event is for tasks and budget", "leave it out")),
    }
}

/// Sends a table.
pub(crate) async fn import(
    import: Import,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let mut path = place(import.kind, import.event.as_deref())?;
    path.push("import");
    let shown = import.file.display();
    let bytes =
        std::fs::read(&import.file).explain(format!("cannot read {shown}"), "see that it is there")?;
    let switches = [("dryRun", import.dry_run), ("atomic", import.atomic)];
    let query: Vec<_> = switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "true")).collect();
    let remote = Remote::new(&import.remote, config, environment)?.patient();
    let body = Body { media: MEDIA, bytes: bytes.into() };
    let answer = remote.ask(Method::POST, &path, &query, Some(body)).await?;
    output.answer(&answer, || told(&answer["data"], output))?;
    let is_whole = answer["data"]["refused"] == 0 && answer["data"]["complete"] == true;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(data: &Value, output: Output) -> String {
    let count = |name: &str| data[name].as_u64().unwrap_or_default();
    let would = if data["dryRun"] == true { "would be " } else { "" };
    let mut lines = vec![format!(
        "{} rows: {would}created {}, updated {}, unchanged {}, refused {}",
        count("rows"),
        count("created"),
        count("updated"),
        count("unchanged"),
        count("refused"),
    )];
    let issues = |refused: &Value| {
        let line = refused["line"].to_string();
        let each = refused["issues"].as_array().cloned().unwrap_or_default();
        each.into_iter().map(move |issue| {
            let text = |key: &str| clean(issue[key].as_str().unwrap_or_default());
            vec![format!("line {line}"), text("field"), text("issue")]
        })
    };
    let rows: Vec<_> = data["errors"].as_array().into_iter().flatten().flat_map(issues).collect();
    if !rows.is_empty() {
        lines.push(columns(&rows));
    }
    for name in data["ignoredColumns"].as_array().into_iter().flatten() {
        let name = clean(name.as_str().unwrap_or_default());
        lines.push(format!("{} no such column: {name}", output.paint(Style::Yellow, "warning:")));
    }
    lines.join("\n")
}

/// Fetches a table.
pub(crate) async fn export(export: Export, config: &Config, environment: &Environment) -> anyhow::Result<()> {
    let mut path = place(export.kind, export.event.as_deref())?;
    let file = format!("{}.csv", path.pop().unwrap_or_default());
    path.push(&file);
    let query: Vec<_> = export.filter.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let remote = Remote::new(&export.remote, config, environment)?.patient();
    let bytes = remote.fetch(&path, &query, MEDIA).await?;
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_need_their_event_and_others_have_none() {
        assert_eq!(place(TableKind::Events, None).unwrap(), ["events"]);
        assert_eq!(place(TableKind::Tasks, Some("evt_1")).unwrap(), ["events", "evt_1", "tasks"]);
        assert!(place(TableKind::Budget, None).is_err() && place(TableKind::Vendors, Some("evt_1")).is_err());
    }
}
