//! `doctor`: one look over configuration, data directory and database; exit code 1 when something is bad.
//!
//! Invariant: makes no database where there is none. One that exists is opened as `serve` opens it, which
//! brings its schema up to date.
//! Not here: putting anything right.

use super::health::{self, Finding, Verdict};
use crate::config::{Config, SourceSettings};
use crate::failure::Report;
use crate::node::Node;
use crate::output::{Output, Style, clean};
use openevent_store::Location;
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

/// The longest look at one source.
const PROBE_MAX: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Answer {
    well: bool,
    settings: BTreeMap<&'static str, String>,
    findings: Vec<Finding>,
}

/// Looks, prints and judges.
pub(crate) async fn run(config: Config, output: Output) -> anyhow::Result<ExitCode> {
    let settings = config.shown();
    let mut findings = configuration(&config);
    findings.extend(sources(&config).await);
    match config.location() {
        Location::File(_) if !config.data_dir.exists() => {
            findings.push(nothing_yet("data directory", &config));
        }
        Location::File(path) => {
            findings.extend(health::data_dir(&config.data_dir));
            if path.exists() {
                findings.extend(database(config).await);
            } else {
                findings.push(nothing_yet("database", &config));
            }
        }
        Location::Server(_) => findings.extend(database(config).await),
    }
    let well = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    let answer = Answer { well, settings, findings };
    output.answer(&answer, || text(&answer, output))?;
    Ok(ExitCode::from(u8::from(!well)))
}

fn nothing_yet(check: &'static str, config: &Config) -> Finding {
    let found = format!("none yet in {}; `openevent serve` makes it", config.data_dir.display());
    Finding::new(check, Verdict::Warning, found)
}

fn configuration(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "configuration";
    let mut findings = Vec::new();
    if let Err(refused) = config.check_start() {
        findings.push(Finding::new(CHECK, Verdict::Bad, Report::of(&refused).what));
    }
    findings
        .extend(config.warnings().into_iter().map(|warning| Finding::new(CHECK, Verdict::Warning, warning)));
    if findings.is_empty() {
        findings.push(Finding::new(CHECK, Verdict::Ok, "nothing to remark"));
    }
    findings
}

/// Whether each source's server can be reached and has what is to be read.
async fn sources(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for SourceSettings { source, project, environment } in &config.sources {
        let what = format!("{}: {}, for {project} ({})", source.name, source.kind, environment.as_str());
        let probed = tokio::time::timeout(PROBE_MAX, source.probe()).await;
        findings.push(match probed {
            Ok(Ok(())) => Finding::new("source", Verdict::Ok, what),
            Ok(Err(cause)) => {
                Finding::new("source", Verdict::Bad, format!("{what}: {}", Report::of(&cause.into()).what))
            }
            Err(_) => Finding::new("source", Verdict::Bad, format!("{what}: no answer in time")),
        });
    }
    findings
}

async fn database(config: Config) -> Vec<Finding> {
    match Node::open(config).await {
        Ok(node) => {
            let findings = vec![state(&node).await, statements(&node).await];
            node.close().await;
            findings.into_iter().flatten().collect()
        }
        Err(error) => vec![Finding::new("database", Verdict::Bad, Report::of(&error).what)],
    }
}

async fn state(node: &Node) -> Vec<Finding> {
    match node.store.doctor().await {
        Ok(found) => {
            let schema = if found.missing.is_empty() {
                Finding::new(
                    "schema",
                    Verdict::Ok,
                    format!("up to date (migrations applied: {})", found.applied.len()),
                )
            } else {
                Finding::new("schema", Verdict::Bad, format!("lacks {}", found.missing.join(", ")))
            };
            let damage = found.damage.into_iter().map(|line| Finding::new("integrity", Verdict::Bad, line));
            let version = Finding::new("database", Verdict::Ok, found.version);
            [version, schema].into_iter().chain(damage).collect()
        }
        Err(cause) => vec![unreadable("database", cause)],
    }
}

async fn statements(node: &Node) -> Vec<Finding> {
    match node.store.refused_statements().await {
        Ok(refused) if refused.is_empty() => {
            vec![Finding::new("statements", Verdict::Ok, "the database understands all of them")]
        }
        Ok(refused) => refused.into_iter().map(|one| Finding::new("statements", Verdict::Bad, one)).collect(),
        Err(cause) => vec![unreadable("statements", cause)],
    }
}

fn unreadable(check: &'static str, cause: openevent_store::Error) -> Finding {
    Finding::new(check, Verdict::Bad, Report::of(&cause.into()).what)
}

fn text(answer: &Answer, output: Output) -> String {
    let width = answer.findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let line = |finding: &Finding| {
        let (mark, style) = match finding.verdict {
            Verdict::Ok => ("✓", Style::Green),
            Verdict::Warning => ("!", Style::Yellow),
            Verdict::Bad => ("✗", Style::Red),
        };
        format!("{} {:<width$}  {}", output.paint(style, mark), finding.check, clean(&finding.found))
    };
    answer.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}
