//! Tasks: what all kinds have in common, and telling the kinds apart.
//!
//! Invariant: names are unique in a block, and `then` leads only to a task of the same block.
//! Not here: each kind's own properties (`flow`, `calls`, `events`).

use std::sync::Arc;

use super::walk::{At, Fields, closest};
use super::{Names, Reader, TASKS_MAX};
use crate::jq::Val;
use crate::model::{Block, Data, Kind, Task, Then};

/// What every task may have.
pub(super) const COMMON: &[&str] = &["if", "input", "output", "export", "timeout", "then", "metadata"];

const KINDS: [&str; 12] =
    ["call", "do", "fork", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait"];

impl<'n> Reader<'n> {
    /// A list of named tasks.
    pub(super) fn block(&mut self, at: &At<'n>) -> Block {
        let entries = self.named(at, "task");
        if self.tasks.len() + entries.len() > TASKS_MAX {
            self.findings.invalid(at, format!("the definition has more than {TASKS_MAX} tasks"));
            return Block::new();
        }
        let first = self.reserve(entries.len());
        let names: Names = entries.iter().map(|(name, _)| (*name).to_owned()).zip(first..).collect();
        for ((name, at), (_, id)) in entries.iter().zip(&names) {
            let mut task = self.task(name, at, &names);
            task.next = names.iter().find(|(_, other)| *other == id + 1).map(|(_, next)| *next);
            self.tasks[*id as usize] = task;
        }
        names.into_iter().map(|(_, id)| id).collect()
    }

    /// Entries of a list of `- name: …`.
    pub(super) fn named(&mut self, at: &At<'n>, what: &str) -> Vec<(&'n str, At<'n>)> {
        let mut entries: Vec<(&str, At<'_>)> = Vec::new();
        for item in at.list(&mut self.findings).unwrap_or_default() {
            let Some(fields) = item.map(&mut self.findings) else { continue };
            let mut members = fields.all();
            let (Some((name, at)), None) = (members.next(), members.next()) else {
                self.findings.invalid(&item, format!("must hold exactly one named {what}"));
                continue;
            };
            if entries.iter().any(|(other, _)| *other == name) {
                self.findings.invalid(&at, format!("there is another {what} named '{name}' in this list"));
            }
            entries.push((name, at));
        }
        entries
    }

    pub(super) fn task(&mut self, name: &str, at: &At<'n>, names: &Names) -> Task {
        let mut task = Task {
            name: Arc::new(name.to_owned()),
            reference: Arc::new(at.path.clone()),
            condition: None,
            input: Data::default(),
            output: Data::default(),
            export: Data::default(),
            timeout: None,
            then: Then::Continue,
            next: None,
            definition: Val::from_json(&at.json()).unwrap_or_default(),
            kind: Kind::Do(Block::new()),
            extensions: Vec::new(),
        };
        let Some(fields) = at.map(&mut self.findings) else { return task };
        task.condition = fields.get("if").and_then(|at| self.expr(&at));
        task.input = self.data(&fields, "input", "from");
        task.output = self.data(&fields, "output", "as");
        task.export = self.data(&fields, "export", "as");
        task.timeout = fields.get("timeout").and_then(|at| self.timeout(&at));
        task.then = fields.get("then").map_or(Then::Continue, |at| self.then(&at, names));
        if let Some(at) = fields.get("metadata") {
            at.map(&mut self.findings);
        }
        if let Some((word, kind)) = self.kind(at, &fields, names) {
            task.kind = kind;
            let group = if matches!(word, "do" | "fork") { "composite" } else { word };
            task.extensions = self.extensions_of(group);
        }
        task
    }

    pub(super) fn then(&mut self, at: &At<'n>, names: &Names) -> Then {
        let name = match at.text(&mut self.findings) {
            None | Some("continue") => return Then::Continue,
            Some("exit") => return Then::Exit,
            Some("end") => return Then::End,
            Some(name) => name,
        };
        if let Some((_, id)) = names.iter().find(|(other, _)| other == name) {
            return Then::Task(*id);
        }
        let known: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        let hint = closest(name, &known).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        self.findings.invalid(at, format!("there is no task '{name}' in this list{hint}"));
        Then::Continue
    }

    fn kind(&mut self, at: &At<'n>, fields: &Fields<'n>, names: &Names) -> Option<(&'static str, Kind)> {
        let found: Vec<&'static str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
        let kind = match found.as_slice() {
            [kind] => *kind,
            ["do", "for"] => "for",
            [] => {
                self.no_kind(at, fields);
                return None;
            }
            several => {
                self.findings
                    .invalid(at, format!("a task is of one kind only, not of {}", several.join(" and ")));
                return None;
            }
        };
        let parsed = match kind {
            "call" => self.call(fields),
            "do" => self.composite(fields),
            "fork" => self.fork(fields),
            "emit" => self.emit(fields),
            "for" => self.for_each(fields),
            "listen" => self.listen(fields),
            "raise" => self.raise(fields),
            "run" => self.run(fields),
            "set" => self.set(fields),
            "switch" => self.switch(fields, names),
            "try" => self.try_catch(fields),
            _ => self.wait(fields),
        };
        parsed.map(|parsed| (kind, parsed))
    }

    fn no_kind(&mut self, at: &At<'n>, fields: &Fields<'n>) {
        let unknown = fields.all().map(|(name, _)| name).find(|name| !COMMON.contains(name));
        let hint =
            unknown.and_then(|name| closest(name, &KINDS).map(|near| format!("; did you mean '{near}'?")));
        let seen = unknown.map(|name| format!(" ('{name}' is unknown)")).unwrap_or_default();
        let kinds = KINDS.join(", ");
        self.findings
            .invalid(at, format!("not a task: it needs one of {kinds}{seen}{}", hint.unwrap_or_default()));
    }
}
