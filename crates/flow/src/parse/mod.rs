//! Reading a definition: structure, names, expressions and schemas, all findings at once.
//!
//! Invariant: a definition that passes can run without anything left to resolve; what is valid but not offered
//! becomes a task that faults. Not here: YAML itself (`yaml`) and the interpreter (`run`).

mod calls;
mod controls;
mod data;
mod document;
pub(crate) mod endpoint;
mod events;
mod extensions;
mod flow;
mod foreign;
mod link;
mod process;
mod task;
mod values;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::event::FilterSpec;
use crate::jq::{Expr, Val};
use crate::model::{ErrorTemplate, Extension, Kind, Located, Model, Policy, Retry, Task, TaskId, Then};
use crate::template::whole_expression;
use crate::yaml::{self, Node};
use crate::{Controls, Documents, Issue, IssueKind, Missing, Schedule, Trigger};
use walk::{At, Findings};

/// Tasks of one definition.
const TASKS_MAX: usize = 10_000;

/// Variables every expression may use.
const ARGUMENTS: [&str; 8] =
    ["context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime"];

/// What reading gives.
pub(crate) struct Reading {
    pub(crate) document: Value,
    pub(crate) head: Head,
    pub(crate) model: Model,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) warnings: Vec<Issue>,
    pub(crate) processes: Vec<Issue>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) controls: Option<Controls>,
    pub(crate) missing: Vec<Missing>,
    /// Addresses of the documents that are part of it.
    pub(crate) used: BTreeSet<String>,
}

/// `schedule`.
#[derive(Debug, Default)]
pub(crate) struct Start {
    trigger: Option<Trigger>,
    schedule: Option<Schedule>,
}

/// `document`.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
}

/// Reads a definition, or says everything that is wrong with it, in document order.
pub(crate) fn read(source: &str, documents: &Documents) -> Result<Reading, Vec<Issue>> {
    let node = yaml::read(source).map_err(|issue| vec![issue])?;
    let documents = documents.iter().map(|(address, text)| (address.clone(), yaml::read(text))).collect();
    let mut reader = Reader { documents: Some(&documents), ..Reader::default() };
    let (head, mut model, start) = reader.workflow(&At::root(&node));
    let mut issues = reader.findings.issues;
    issues.sort_by_key(|issue| (issue.line, issue.column));
    if issues.iter().any(|issue| issue.kind == IssueKind::Invalid) {
        issues.retain(|issue| issue.kind == IssueKind::Invalid);
        return Err(issues);
    }
    let document = node.to_json();
    let definition = Val::from_json(&document).map_err(|cut| vec![whole(&node, cut.reason())])?;
    model.definition = definition;
    model.tasks = reader.tasks;
    model.cancel_on = reader.cancel_on;
    model.secrets = reader.secrets;
    model.extensions = reader.extensions;
    Ok(Reading {
        document,
        head,
        model,
        trigger: start.trigger,
        schedule: start.schedule,
        warnings: issues,
        processes: reader.processes,
        controls: reader.controls,
        missing: reader.missing,
        used: reader.used,
    })
}

fn whole(node: &Node, reason: &str) -> Issue {
    let (line, column) = (node.place.line, node.place.column);
    Issue { line, column, path: String::new(), reason: reason.to_owned(), kind: IssueKind::Invalid }
}

/// State of a reading.
#[derive(Default)]
pub(super) struct Reader<'n> {
    findings: Findings,
    loose: bool,
    /// Variables of the constructs around the current place.
    locals: Vec<String>,
    tasks: Vec<Task>,
    /// Where processes are run.
    processes: Vec<Issue>,
    controls: Option<Controls>,
    /// Events that cancel a run.
    cancel_on: Vec<Arc<FilterSpec>>,
    /// `use.secrets`.
    secrets: Vec<String>,
    /// Where the clock of `cron` hangs.
    zone: chrono_tz::Tz,
    uses: Uses<'n>,
    /// Documents from elsewhere, by address.
    documents: Option<&'n BTreeMap<String, Result<Node, Issue>>>,
    missing: Vec<Missing>,
    used: BTreeSet<String>,
    catalogs: BTreeMap<String, Arc<Located>>,
    /// Kinds of task that extensions apply to, extension by extension.
    extending: Vec<&'static str>,
    extensions: Vec<Extension>,
    /// Whether tasks of an extension are being read.
    is_extension: bool,
    /// Functions of other documents, by address.
    linked: BTreeMap<String, TaskId>,
}

/// Reusable components.
#[derive(Default)]
struct Uses<'n> {
    errors: BTreeMap<String, Arc<ErrorTemplate>>,
    retries: BTreeMap<String, Arc<Retry>>,
    timeouts: BTreeMap<String, At<'n>>,
    functions: BTreeMap<String, TaskId>,
    authentications: BTreeMap<String, Arc<Policy>>,
}

/// Names in one block, which `then` may refer to.
type Names = Vec<(String, TaskId)>;

impl Reader<'_> {
    /// Compiles an expression; `${ }` around it is optional where only an expression may stand.
    fn expr(&mut self, at: &At<'_>) -> Option<Expr> {
        let text = at.text(&mut self.findings)?;
        self.code(at, whole_expression(text).unwrap_or(text))
    }

    fn code(&mut self, at: &At<'_>, source: &str) -> Option<Expr> {
        let locals = &self.locals;
        let known = |name: &str| ARGUMENTS.contains(&name) || locals.iter().any(|local| local == name);
        match Expr::compile(source, &known) {
            Ok(expr) => Some(expr),
            Err(reason) => {
                self.findings.invalid(at, format!("not a valid expression: {reason}"));
                None
            }
        }
    }

    /// Reads with more variables in sight.
    fn with_locals<T>(&mut self, names: &[&str], read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.locals.len();
        self.locals.extend(names.iter().map(|name| (*name).to_owned()));
        let result = read(self);
        self.locals.truncate(before);
        result
    }

    /// Keeps places for tasks, so that they may refer to each other.
    fn reserve(&mut self, count: usize) -> TaskId {
        let first = self.tasks.len();
        self.tasks.resize_with(first + count, || Task {
            name: Arc::default(),
            reference: Arc::default(),
            condition: None,
            input: crate::model::Data::default(),
            output: crate::model::Data::default(),
            export: crate::model::Data::default(),
            timeout: None,
            then: Then::Continue,
            next: None,
            definition: Val::Null,
            kind: Kind::Do(Vec::new()),
            extensions: Vec::new(),
        });
        first as TaskId
    }
}
