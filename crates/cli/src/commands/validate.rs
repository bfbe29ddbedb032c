//! Checking definition files without a server.
//!
//! Invariant: every finding is printed as `file:line:column path: reason`, which editors can jump to.
//! Not here: the rules (`crates/flow`).

use crate::output::{Output, Style, clean};
use openevent_engine::Processes;
use openevent_flow::{Definition, Issue, Parsed};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A file that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    /// As it was named.
    pub(crate) file: PathBuf,
    /// Whether it can be used.
    pub(crate) valid: bool,
    /// What it says of itself, when it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workflow: Option<Named>,
    /// What makes it unusable.
    pub(crate) issues: Vec<Issue>,
    /// What this server does not offer.
    pub(crate) warnings: Vec<Issue>,
    /// Why it could not be read at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unreadable: Option<String>,
    /// Its text.
    #[serde(skip)]
    pub(crate) source: String,
}

/// `document.namespace`, `document.name`, `document.version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Named {
    /// `document.namespace`.
    pub(crate) namespace: String,
    /// `document.name`.
    pub(crate) name: String,
    /// `document.version`.
    pub(crate) version: String,
}

/// Reads and checks one file.
///
/// `processes` is what the configuration at hand switches on; documents from elsewhere are not fetched.
pub(crate) fn check(file: &Path, processes: &Processes) -> Checked {
    let empty = Checked {
        file: file.to_owned(),
        valid: false,
        workflow: None,
        issues: Vec::new(),
        warnings: Vec::new(),
        unreadable: None,
        source: String::new(),
    };
    let source = match std::fs::read_to_string(file) {
        Ok(source) => source,
        Err(cause) => return Checked { unreadable: Some(cause.to_string()), ..empty },
    };
    match Definition::parse(&source) {
        Ok(Parsed { definition, mut warnings, .. }) => {
            warnings.extend(definition.processes().iter().filter(|issue| !processes.offers(issue)).cloned());
            let text = str::to_owned;
            let workflow = Named {
                namespace: text(definition.namespace()),
                name: text(definition.name()),
                version: text(definition.version()),
            };
            Checked { valid: true, workflow: Some(workflow), warnings, source, ..empty }
        }
        Err(issues) => Checked { issues, source, ..empty },
    }
}

/// What was found in a file, one line each.
pub(crate) fn lines(checked: &Checked, output: Output) -> Vec<String> {
    let file = checked.file.display();
    let at = |issue: &Issue| {
        let path = if issue.path.is_empty() { "/" } else { &issue.path };
        format!("{file}:{}:{} {}: ", issue.line, issue.column, clean(path))
    };
    let unreadable = checked.unreadable.iter().map(|cause| format!("{file}: {cause}"));
    let issues = checked
        .issues
        .iter()
        .map(|issue| format!("{}{}", at(issue), output.paint(Style::Red, &clean(&issue.reason))));
    let warnings = checked.warnings.iter().map(|issue| {
        format!("{}{}", at(issue), output.paint(Style::Yellow, &format!("warning: {}", clean(&issue.reason))))
    });
    let fine = checked.workflow.iter().map(|named| {
        let Named { namespace, name, version } = named;
        format!(
            "{} {file}: {}",
            output.paint(Style::Green, "✓"),
            clean(&format!("{namespace}/{name} {version}"))
        )
    });
    unreadable.chain(issues).chain(warnings).chain(fine).collect()
}
