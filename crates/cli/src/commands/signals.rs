//! `signals send|list|replay`: one signal to a running server, and those it has.
//!
//! Invariant: exit code 0 of `send` and `replay` means that the server has it on disk.
//! Not here: waiting for the runs it starts; `runs show --watch` does.

use crate::args::{Remote as Flags, Signals};
use crate::config::{Config, Environment};
use crate::failure::{explain, usage};
use crate::output::{Output, Style, clean, columns};
use crate::remote::{Body, Remote};
use http::Method;
use openevent_domain::signal::{SignalName, rfc3339};
use serde_json::{Map, Value, json};
use std::io::Read as _;

/// Sends the signal.
pub(crate) async fn run(
    signals: Signals,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<()> {
    match signals {
        Signals::Send { name, payload, remote } => {
            send(&name, payload.as_deref(), (&remote, config, environment), output).await
        }
        Signals::List { name, remote } => {
            list(&Remote::new(&remote, config, environment)?, name.as_deref(), output).await
        }
        Signals::Replay { ids, remote } => {
            let remote = Remote::new(&remote, config, environment)?;
            for id in ids {
                let answer = remote.ask(Method::POST, &["signals", &id, "replay"], &[], None).await?;
                output.answer(&answer, || accepted(&answer, output))?;
            }
            Ok(())
        }
    }
}

async fn list(remote: &Remote, name: Option<&str>, output: Output) -> anyhow::Result<()> {
    let query: Vec<_> = [("limit", "50")].into_iter().chain(name.map(|name| ("name", name))).collect();
    let answer = remote.get(&["signals"], &query).await?;
    output.answer(&answer, || {
        let row = |signal: &Value| {
            let text = |key: &str| clean(signal[key].as_str().unwrap_or_default());
            let received_at = signal["receivedAt"].as_i64().map(rfc3339).unwrap_or_default();
            let matched = if signal["matched"] == true { "started a run" } else { "" };
            vec![text("id"), received_at, text("name"), matched.to_owned()]
        };
        let rows: Vec<_> = answer["data"].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() { "No signals.".to_owned() } else { columns(&rows) }
    })
}

async fn send(
    name: &str,
    payload: Option<&str>,
    to: (&Flags, &Config, &Environment),
    output: Output,
) -> anyhow::Result<()> {
    let hint = "such as order.created";
    SignalName::parse(name).map_err(|bad| usage(format!("the name {bad}"), hint))?;
    let payload = payload.map(read_payload).transpose()?.unwrap_or_default();
    let body = json!({"name": name, "payload": payload}).to_string();
    let body = Body { media: "application/json", bytes: body.into() };
    let remote = Remote::new(to.0, to.1, to.2)?;
    let answer = remote.ask(Method::POST, &["events"], &[], Some(body)).await?;
    output.answer(&answer, || accepted(&answer, output))
}

fn accepted(answer: &Value, output: Output) -> String {
    let data = &answer["data"];
    let id = data["event_id"].as_str().or_else(|| answer["event_id"].as_str()).unwrap_or_default();
    let mut lines = vec![format!("{} {}", output.paint(Style::Green, "accepted"), clean(id))];
    let runs = data["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if runs.is_empty() {
        lines.push(output.paint(Style::Dim, "no workflow was started by it"));
    }
    for run in runs {
        let text = |key: &str| clean(run[key].as_str().unwrap_or_default());
        lines.push(format!("started {}  {}", text("run_id"), text("workflow")));
    }
    let warnings = answer["meta"]["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    for warning in warnings {
        let words = warning.as_str().map_or_else(|| warning.to_string(), str::to_owned);
        lines.push(format!("{} {}", output.paint(Style::Yellow, "warning:"), clean(&words)));
    }
    lines.join("\n")
}

/// A JSON object: as typed, from `@file`, or from standard input for `-`.
fn read_payload(text: &str) -> anyhow::Result<Map<String, Value>> {
    let cannot = |from: &str, cause| explain(cause, format!("cannot read the payload from {from}"), "");
    let text = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|cause| cannot(file, cause))?,
        None if text == "-" => {
            let mut all = String::new();
            std::io::stdin().read_to_string(&mut all).map_err(|cause| cannot("standard input", cause))?;
            all
        }
        None => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|cause| {
        usage(
            format!("the payload is not a JSON object: {cause}"),
            r#"such as --payload '{"orderId":"o-1"}'"#,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_objects() {
        assert_eq!(read_payload(r#"{"a":1}"#).unwrap()["a"], 1);
        for text in ["", "[]", "1", "{a:1}", "@/nonexistent/file"] {
            assert!(read_payload(text).is_err(), "{text}");
        }
    }
}
