//! `runs …`: listing, showing and steering the runs of a running server.
//!
//! Invariant: `--watch` ends when the run has ended; on a terminal it redraws in place, elsewhere it prints a
//! run only when something about it changed.
//! Not here: the picture itself (`run_tree.rs`).

use super::run_tree::{Run, style};
use crate::ambient::SystemClock;
use crate::args::{Runs, Steered};
use crate::config::{Config, Environment};
use crate::failure::explain;
use crate::output::{Output, Style, clean, columns};
use crate::remote::Remote;
use http::Method;
use openevent_domain::ambient::Clock as _;
use openevent_domain::signal::rfc3339;
use serde_json::Value;
use std::time::Duration;

/// Between two looks at a run that is being watched.
const LOOK: Duration = Duration::from_millis(500);

/// Runs one of them.
pub(crate) async fn run(
    runs: Runs,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<()> {
    match runs {
        Runs::List { status, workflow, limit, remote } => {
            let remote = Remote::new(&remote, config, environment)?;
            let limit = limit.to_string();
            let filters =
                [("status", status.as_deref()), ("workflow", workflow.as_deref()), ("limit", Some(&limit))];
            let query: Vec<_> = filters.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            let answer = remote.get(&["runs"], &query).await?;
            output.answer(&answer, || table(&answer, output))
        }
        Runs::Show { id, watch: true, remote } => {
            watch(&Remote::new(&remote, config, environment)?, &id, output).await
        }
        Runs::Show { id, watch: false, remote } => {
            let answer = Remote::new(&remote, config, environment)?.get(&["runs", &id], &[]).await?;
            let run = read(&answer["data"])?;
            output.answer(&answer, || run.tree(SystemClock.now(), output))
        }
        Runs::Retry(steered) => steer(&steered, "retry", config, environment, output).await,
        Runs::Cancel(steered) => steer(&steered, "cancel", config, environment, output).await,
        Runs::Suspend(steered) => steer(&steered, "suspend", config, environment, output).await,
        Runs::Resume(steered) => steer(&steered, "resume", config, environment, output).await,
    }
}

async fn steer(
    Steered { id, remote }: &Steered,
    verb: &str,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<()> {
    let remote = Remote::new(remote, config, environment)?;
    let answer = remote.ask(Method::POST, &["runs", id, verb], &[], None).await?;
    let run = read(&answer["data"])?;
    output.answer(&answer, || run.tree(SystemClock.now(), output))
}

async fn watch(remote: &Remote, id: &str, output: Output) -> anyhow::Result<()> {
    let mut beat = tokio::time::interval(LOOK);
    let mut seen = (Value::Null, 0);
    loop {
        beat.tick().await;
        let answer = remote.get(&["runs", id], &[]).await?;
        let run = read(&answer["data"])?;
        if output.is_json() {
            if run.has_ended() {
                return output.json(&answer);
            }
            continue;
        }
        if output.is_terminal() || seen.0 != answer["data"] {
            let text = run.tree(SystemClock.now(), output);
            output.rewind(seen.1)?;
            output.line(&text)?;
            seen = (answer["data"].clone(), text.lines().count());
        }
        if run.has_ended() {
            return Ok(());
        }
    }
}

fn read(data: &Value) -> anyhow::Result<Run> {
    let run = serde_json::from_value(data.clone());
    run.map_err(|cause| {
        explain(cause, "the server's answer is not a run", "is the server of the same version?")
    })
}

fn table(answer: &Value, output: Output) -> String {
    let data = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let runs: Vec<Run> = data.iter().filter_map(|run| read(run).ok()).collect();
    if runs.is_empty() {
        return "No runs.".to_owned();
    }
    let now = SystemClock.now();
    let head = ["ID", "STARTED", "TOOK", "WORKFLOW", "STATUS"].map(str::to_owned).to_vec();
    let row = |run: &Run| {
        let started = run.started_at.map(rfc3339).unwrap_or_default();
        let status = output.paint(style(&run.status), &clean(&run.status));
        vec![clean(&run.id), started, run.duration(now).unwrap_or_default(), run.workflow_text(), status]
    };
    let text = columns(&std::iter::once(head).chain(runs.iter().map(row)).collect::<Vec<_>>());
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", output.paint(Style::Bold, head))
}
