//! `workflows validate|apply|list`.
//!
//! Invariant: `apply` sends nothing unless every file is valid, so that a half-right set changes nothing.
//! Not here: checking (`validate.rs`).

use super::validate::{Checked, Named, check, lines};
use crate::args::Workflows;
use crate::config::{Config, Environment};
use crate::failure::failed;
use crate::output::{Output, Style, clean, columns};
use crate::remote::{Body, Remote};
use http::Method;
use openevent_engine::Processes;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs one of the three.
pub(crate) async fn run(
    workflows: Workflows,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<ExitCode> {
    match workflows {
        Workflows::Validate { files } => validate(&files, &config.processes, output),
        Workflows::Apply { files, allow_unsupported, remote } => {
            let remote = Remote::new(&remote, config, environment)?;
            let query: &[_] = if allow_unsupported { &[("allowUnsupported", "true")] } else { &[] };
            apply(&files, &config.processes, &remote, query, output).await?;
            Ok(ExitCode::SUCCESS)
        }
        Workflows::List { remote } => {
            list(&Remote::new(&remote, config, environment)?, output).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn validate(files: &[PathBuf], processes: &Processes, output: Output) -> anyhow::Result<ExitCode> {
    let checked: Vec<Checked> = files.iter().map(|file| check(file, processes)).collect();
    let valid = checked.iter().all(|file| file.valid);
    output.answer(&json!({"valid": valid, "files": checked}), || text(&checked, output))?;
    Ok(ExitCode::from(u8::from(!valid)))
}

fn text(checked: &[Checked], output: Output) -> String {
    checked.iter().flat_map(|file| lines(file, output)).collect::<Vec<_>>().join("\n")
}

async fn apply(
    files: &[PathBuf],
    processes: &Processes,
    remote: &Remote,
    query: &[(&str, &str)],
    output: Output,
) -> anyhow::Result<()> {
    let checked: Vec<Checked> = files.iter().map(|file| check(file, processes)).collect();
    if checked.iter().any(|file| !file.valid) {
        let bad: Vec<Checked> = checked.into_iter().filter(|file| !file.valid).collect();
        output.answer(&json!({"valid": false, "files": bad}), || text(&bad, output))?;
        return Err(failed("nothing was applied: not every definition is valid", "correct the lines above"));
    }
    let mut applied = Vec::new();
    for file in checked {
        let Some(Named { namespace, name, version }) = file.workflow else { continue };
        let is_json = file.file.extension().is_some_and(|extension| extension == "json");
        let media = if is_json { "application/json" } else { "application/yaml" };
        let body = Body { media, bytes: file.source.into() };
        let answer = remote.ask(Method::PUT, &["workflows", &namespace, &name], query, Some(body)).await?;
        let shown = clean(&format!("{namespace}/{name} {version}"));
        applied.push(json!({"file": file.file, "namespace": namespace, "name": name, "version": version, "meta": answer["meta"]}));
        if !output.is_json() {
            output.line(&format!("{} {shown}", output.paint(Style::Green, "applied")))?;
        }
    }
    if output.is_json() { output.json(&applied) } else { Ok(()) }
}

async fn list(remote: &Remote, output: Output) -> anyhow::Result<()> {
    let answer = remote.get(&["workflows"], &[("limit", "100")]).await?;
    output.answer(&answer, || table(&answer, output))
}

fn table(answer: &Value, output: Output) -> String {
    let workflows = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if workflows.is_empty() {
        return "No workflows yet.".to_owned();
    }
    let head = ["NAMESPACE", "NAME", "VERSION", "FROM"].map(str::to_owned).to_vec();
    let row = |workflow: &Value| {
        let text = |key: &str| clean(workflow[key].as_str().unwrap_or("-"));
        ["namespace", "name", "version", "origin"].map(text).to_vec()
    };
    let text = columns(&std::iter::once(head).chain(workflows.iter().map(row)).collect::<Vec<_>>());
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", output.paint(Style::Bold, head))
}
