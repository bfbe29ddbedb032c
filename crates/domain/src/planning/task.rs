//! Tasks of an event, and what has to be done before what.
//!
//! Invariant: what waits for what has no circle, as long as every change passed [`Graph::check`] on the graph it was
//! written over. `completed_at` is there exactly while the status is completed, `first_completed_at` once it was.
//! Not here: who works on tasks; an assignee is a text to us.

use super::form::{Form, Presence, text, time, word};
use crate::ambient::Millis;
use crate::id::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// Characters of a title, and of an assignee.
pub const TITLE_CHARS_MAX: usize = 200;
/// Characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 10_000;
/// Characters of a category.
pub const CATEGORY_CHARS_MAX: usize = 100;
/// Tasks one task may wait for, and links it may have.
pub const LINKS_MAX: usize = 50;
/// Characters of a link.
pub const LINK_CHARS_MAX: usize = 2_000;

/// How much a task matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// It can wait.
    Low,
    /// As usual.
    #[default]
    Medium,
    /// Soon.
    High,
    /// Now.
    Urgent,
}

impl Priority {
    /// All words.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Urgent];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

/// How far a task is. Any of them may follow any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Nobody began.
    #[default]
    Todo,
    /// Somebody is at it.
    InProgress,
    /// It cannot go on.
    Blocked,
    /// Done.
    Completed,
}

impl Progress {
    /// All words.
    pub const ALL: [Self; 4] = [Self::Todo, Self::InProgress, Self::Blocked, Self::Completed];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::InProgress => "in_progress",
            Self::Blocked => "blocked",
            Self::Completed => "completed",
        }
    }
}

/// Something to be done for an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    /// What is to be done.
    pub title: String,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How much it matters.
    pub priority: Priority,
    /// How far it is.
    pub status: Progress,
    /// When it was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Millis>,
    /// When it was completed for the first time; that is told, and told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_completed_at: Option<Millis>,
    /// When it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Millis>,
    /// Who does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// The tasks that have to be done before.
    pub blocked_by: Vec<TaskId>,
    /// Addresses on the web, as they were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Value>,
}

impl Task {
    /// Reads what a form says of the task, and leaves the rest as it is.
    pub fn read(&mut self, form: &mut Form, presence: Presence, now: Millis) {
        form.require("title", presence, &mut self.title, text(TITLE_CHARS_MAX));
        form.change("description", &mut self.description, text(DESCRIPTION_CHARS_MAX));
        form.change("category", &mut self.category, text(CATEGORY_CHARS_MAX));
        let priority = word(Priority::ALL, Priority::as_str);
        form.set("priority", &mut self.priority, |value| priority(value).map(Option::unwrap_or_default));
        let progress = word(Progress::ALL, Progress::as_str);
        form.set("status", &mut self.status, |value| progress(value).map(Option::unwrap_or_default));
        form.change("dueDate", &mut self.due_date, time);
        form.change("assignee", &mut self.assignee, text(TITLE_CHARS_MAX));
        form.set("blockedBy", &mut self.blocked_by, blockers);
        form.set("links", &mut self.links, links);
        self.completed_at = (self.status == Progress::Completed).then(|| self.completed_at.unwrap_or(now));
        self.first_completed_at = self.first_completed_at.or(self.completed_at);
    }
}

fn blockers(value: Value) -> Result<Vec<TaskId>, String> {
    let Value::Array(items) = value else { return Err("must be a list of task ids".to_owned()) };
    if items.len() > LINKS_MAX {
        return Err(format!("must have at most {LINKS_MAX} items"));
    }
    let mut ids = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let id =
            item.as_str().and_then(TaskId::parse).ok_or_else(|| format!("item {index} is no task id"))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Addresses, or objects with a `url`.
fn links(value: Value) -> Result<Vec<Value>, String> {
    let Value::Array(items) = value else { return Err("must be a list of links".to_owned()) };
    if items.len() > LINKS_MAX || Value::from(items.clone()).to_string().len() > LINKS_MAX * LINK_CHARS_MAX {
        return Err(format!("must have at most {LINKS_MAX} items of {LINK_CHARS_MAX} characters"));
    }
    for (index, item) in items.iter().enumerate() {
        let address = item.as_str().or_else(|| item.get("url").and_then(Value::as_str)).unwrap_or_default();
        let is_web = Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_web || item.to_string().contains("\\u0000") {
            return Err(format!("item {index} must be an http or https URL, or an object with one as `url`"));
        }
    }
    Ok(items)
}

/// What waits for what among the tasks of one event.
#[derive(Clone, Debug, Default)]
pub struct Graph(BTreeMap<TaskId, Vec<TaskId>>);

/// Why a task cannot wait for others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Knot {
    /// There is no such task in this event.
    #[error("names {0}, which is no task of this event")]
    Missing(TaskId),
    /// It would wait for itself, directly or through others.
    #[error("makes the task wait for itself through {0}")]
    Circle(TaskId),
}

impl Graph {
    /// The graph of these tasks.
    pub fn of(tasks: impl IntoIterator<Item = (TaskId, Vec<TaskId>)>) -> Self {
        Self(tasks.into_iter().collect())
    }

    /// Whether a task may wait for these.
    pub fn check(&self, task: &TaskId, blocked_by: &[TaskId]) -> Result<(), Knot> {
        for first in blocked_by {
            if first != task && !self.0.contains_key(first) {
                return Err(Knot::Missing(first.clone()));
            }
            if self.leads_to(first, task) {
                return Err(Knot::Circle(first.clone()));
            }
        }
        Ok(())
    }

    /// What a task waits for from now on; check it first.
    pub fn put(&mut self, task: TaskId, blocked_by: Vec<TaskId>) {
        self.0.insert(task, blocked_by);
    }

    /// The tasks that wait for this one.
    pub fn waiting_for<'a>(&'a self, task: &'a TaskId) -> impl Iterator<Item = &'a TaskId> {
        self.0.iter().filter(|(_, blocked_by)| blocked_by.contains(task)).map(|(waiting, _)| waiting)
    }

    fn leads_to(&self, from: &TaskId, to: &TaskId) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(task) = open.pop() {
            if task == to {
                return true;
            }
            if seen.insert(task) {
                open.extend(self.0.get(task).into_iter().flatten());
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn id(n: usize) -> TaskId {
        TaskId::trusted(format!("tsk_{n:032x}"))
    }

    fn read(task: &mut Task, presence: Presence, body: Value) -> Result<Vec<String>, Vec<String>> {
        let mut form = Form::of(body.as_object().cloned().unwrap_or_default());
        task.read(&mut form, presence, 9);
        form.finish().map_err(|issues| issues.into_iter().map(|issue| issue.field).collect())
    }

    #[test]
    fn a_task_is_read_with_its_words_and_refused_field_by_field() {
        let mut task = Task::default();
        let body = json!({"title": "T", "status": "completed", "priority": "urgent", "blockedBy": [id(1), id(1)],
            "links": ["https://a.example", {"url": "http://b.example", "title": "B"}]});
        assert_eq!(read(&mut task, Presence::New, body), Ok(Vec::new()));
        assert_eq!((task.completed_at, task.blocked_by.len(), task.links.len()), (Some(9), 1, 2));
        assert!(read(&mut task, Presence::Known, json!({"status": "todo", "priority": null})).is_ok());
        assert_eq!((task.completed_at, task.priority), (None, Priority::Medium));
        assert_eq!(task.first_completed_at, Some(9), "it stays known");
        let wrong = json!({"title": "", "priority": 1, "status": "done", "dueDate": "x", "blockedBy": ["x"],
            "links": ["javascript:x"]});
        let refused = read(&mut Task::default(), Presence::New, wrong).unwrap_err();
        assert_eq!(refused, ["title", "priority", "status", "dueDate", "blockedBy", "links"]);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_no_task_waits_for_itself(
            asked in proptest::collection::vec((0..8_usize, proptest::collection::vec(0..9_usize, 0..4)), 0..40),
        ) {
            let mut tasks: BTreeMap<TaskId, Vec<TaskId>> = (0..8).map(|n| (id(n), Vec::new())).collect();
            for (task, blocked_by) in asked {
                let blocked_by: Vec<_> = blocked_by.into_iter().map(id).collect();
                let graph = Graph::of(tasks.clone());
                match graph.check(&id(task), &blocked_by) {
                    Ok(()) => drop(tasks.insert(id(task), blocked_by)),
                    Err(Knot::Missing(missing)) => prop_assert_eq!(missing, id(8)),
                    Err(Knot::Circle(through)) => prop_assert!(blocked_by.contains(&through)),
                }
            }
            // Whatever is left can be done in some order.
            while !tasks.is_empty() {
                let free: Vec<_> = tasks.iter().filter(|(_, by)| by.is_empty()).map(|(id, _)| id.clone()).collect();
                prop_assert!(!free.is_empty(), "a circle: {tasks:?}");
                tasks.retain(|id, _| !free.contains(id));
                for by in tasks.values_mut() {
                    by.retain(|id| !free.contains(id));
                }
            }
        }
    }
}
