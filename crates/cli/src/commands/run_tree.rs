//! A run as a tree of its tasks, for people.
//!
//! Invariant: shows what the server sent; a field that is missing shows as nothing.
//! Not here: asking for it (`runs.rs`).

use crate::output::{Output, Style, clean, span};
use openevent_domain::ambient::Millis;
use openevent_domain::signal::rfc3339;
use serde::Deserialize;
use serde_json::Value;

/// A run as `GET /api/v1/runs/:id` shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Run {
    /// Its id.
    pub(crate) id: String,
    /// What it is an execution of.
    pub(crate) workflow: Workflow,
    /// The DSL's phase.
    pub(crate) status: String,
    /// The signal that started it.
    pub(crate) event_id: Option<String>,
    /// What it ended with.
    pub(crate) output: Option<Value>,
    /// What it failed with.
    pub(crate) error: Option<Value>,
    /// When it began.
    pub(crate) started_at: Option<Millis>,
    /// When it ended.
    pub(crate) ended_at: Option<Millis>,
    /// Its tasks in starting order.
    pub(crate) tasks: Vec<Task>,
}

/// Which workflow, and which version of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Workflow {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
}

/// One task of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Task {
    name: String,
    reference: String,
    status: String,
    attempts: Option<u64>,
    started_at: Option<Millis>,
    ended_at: Option<Millis>,
    error: Option<Value>,
}

impl Run {
    /// Whether nothing more will happen to it.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "faulted" | "cancelled")
    }

    /// `namespace/name version`.
    pub(crate) fn workflow_text(&self) -> String {
        let Workflow { namespace, name, version } = &self.workflow;
        clean(&format!("{namespace}/{name} {version}")).trim().to_owned()
    }

    /// How long it took, or has taken by `now`.
    pub(crate) fn duration(&self, now: Millis) -> Option<String> {
        self.started_at.map(|from| span(self.ended_at.unwrap_or(now) - from))
    }

    /// The whole picture.
    pub(crate) fn tree(&self, now: Millis, output: Output) -> String {
        let took = self.duration(now).map(|took| format!("  {took}")).unwrap_or_default();
        let status = output.paint(style(&self.status), &clean(&self.status));
        let id = output.paint(Style::Bold, &clean(&self.id));
        let mut lines = vec![format!("{id}  {}  {status}{took}", self.workflow_text())];
        if let Some(from) = self.started_at {
            let cause =
                self.event_id.as_ref().map(|id| format!(" by signal {}", clean(id))).unwrap_or_default();
            lines.push(output.paint(Style::Dim, &format!("started {}{cause}", rfc3339(from))));
        }
        lines.extend(self.branches(0..self.tasks.len(), "", now, output));
        if let Some(error) = &self.error {
            lines.push(output.paint(Style::Red, &format!("error: {}", error_text(error))));
        }
        if let Some(result) = &self.output {
            lines.push(format!("output: {}", clean(&result.to_string())));
        }
        lines.join("\n")
    }

    /// The lines of some tasks: those that are inside no other of them, each followed by what is inside it.
    fn branches(
        &self,
        range: std::ops::Range<usize>,
        indent: &str,
        now: Millis,
        output: Output,
    ) -> Vec<String> {
        let mut roots: Vec<usize> = Vec::new();
        for at in range.clone() {
            let inside = roots.last().is_some_and(|root| self.tasks[at].is_inside(&self.tasks[*root]));
            if !inside {
                roots.push(at);
            }
        }
        let mut lines = Vec::new();
        for (nth, root) in roots.iter().enumerate() {
            let next = roots.get(nth + 1).copied();
            let (fork, bar) = if next.is_some() { ("├─ ", "│  ") } else { ("└─ ", "   ") };
            lines.push(format!("{indent}{fork}{}", self.tasks[*root].line(now, output)));
            let within = root + 1..next.unwrap_or(range.end);
            lines.extend(self.branches(within, &format!("{indent}{bar}"), now, output));
        }
        lines
    }
}

impl Task {
    fn is_inside(&self, other: &Self) -> bool {
        let rest = self.reference.strip_prefix(other.reference.as_str());
        !other.reference.is_empty() && rest.is_some_and(|rest| rest.starts_with('/'))
    }

    fn line(&self, now: Millis, output: Output) -> String {
        let mark = match self.status.as_str() {
            "completed" => "✓",
            "faulted" => "✗",
            "cancelled" | "suspended" => "-",
            _ => "…",
        };
        let mark = output.paint(style(&self.status), mark);
        let took = self.started_at.map(|from| format!("  {}", span(self.ended_at.unwrap_or(now) - from)));
        let attempts = self.attempts.filter(|count| *count > 1).map(|count| format!("  {count} attempts"));
        let error =
            self.error.as_ref().map(|error| output.paint(Style::Red, &format!("  {}", error_text(error))));
        let extras: String = [took, attempts, error].into_iter().flatten().collect();
        format!("{mark} {}{extras}", clean(&self.name))
    }
}

/// The colour of a phase.
pub(crate) fn style(status: &str) -> Style {
    match status {
        "completed" => Style::Green,
        "faulted" => Style::Red,
        "cancelled" | "suspended" => Style::Yellow,
        _ => Style::Cyan,
    }
}

/// An error of the DSL (`type`, `status`, `title`, `detail`) as one line.
fn error_text(error: &Value) -> String {
    let text = |key: &str| error[key].as_str().filter(|text| !text.is_empty());
    let kind = text("type").map(|kind| kind.rsplit('/').next().unwrap_or(kind));
    let words: Vec<&str> = [kind, text("title"), text("detail")].into_iter().flatten().collect();
    if words.is_empty() { clean(&error.to_string()) } else { clean(&words.join(": ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::output::Format;
    use serde_json::json;

    #[test]
    fn tasks_hang_below_the_task_they_are_inside() {
        let run: Run = serde_json::from_value(json!({
            "id": "run_1", "workflow": {"namespace": "shop", "name": "order", "version": "1.0.0"},
            "status": "faulted", "eventId": "e", "startedAt": 0, "endedAt": 1_500,
            "error": {"type": "https://serverlessworkflow.io/spec/1.0.0/errors/communication", "title": "refused"},
            "tasks": [
                {"name": "try", "reference": "/do/0/try", "status": "completed", "startedAt": 0, "endedAt": 10},
                {"name": "call", "reference": "/do/0/try/try/0/call", "status": "completed", "attempts": 2, "startedAt": 0, "endedAt": 9},
                {"name": "try2", "reference": "/do/1/try2", "status": "faulted", "startedAt": 10, "error": {"title": "no"}},
            ],
        }))
        .unwrap();
        let output = Output::new(Format::Json, &Environment::from_pairs([("NO_COLOR", "1")]));
        let expected = "run_1  shop/order 1.0.0  faulted  1.5 s\n\
                        started 1970-01-01T00:00:00.000Z by signal e\n\
                        ├─ ✓ try  10 ms\n\
                        │  └─ ✓ call  9 ms  2 attempts\n\
                        └─ ✗ try2  20 ms  no\n\
                        error: communication: refused";
        assert_eq!(run.tree(30, output), expected);
        assert!(run.has_ended());
    }
}
