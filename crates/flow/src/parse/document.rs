//! The top of a definition: `document`, `use`, `schedule`, `evaluate` and the rest of the root.
//!
//! Invariant: reusable components are read before the tasks that use them. Not here: tasks.

use std::sync::Arc;

use super::walk::{At, Fields};
use super::{Head, Reader, Start};
use crate::event::Mode;
use crate::model::Model;
use crate::schedule::Calendar;
use crate::trigger::SET_MAX;
use crate::{Schedule, Trigger};

impl<'n> Reader<'n> {
    pub(super) fn workflow(&mut self, at: &At<'n>) -> (Head, Model, Start) {
        let Some(fields) = at.map(&mut self.findings) else { return Default::default() };
        let head =
            fields.required("document", &mut self.findings).map(|at| self.document(&at)).unwrap_or_default();
        if let Some(at) = fields.get("evaluate") {
            self.evaluate(&at);
        }
        if let Some(at) = fields.get("use") {
            self.components(&at);
        }
        let start = fields.get("schedule").map(|at| self.schedule(&at)).unwrap_or_default();
        let model = Model {
            input: self.data(&fields, "input", "from"),
            root: fields.required("do", &mut self.findings).map(|at| self.block(&at)).unwrap_or_default(),
            output: self.data(&fields, "output", "as"),
            timeout: fields.get("timeout").and_then(|at| self.timeout(&at)),
            ..Model::default()
        };
        (head, model, start)
    }

    fn document(&mut self, at: &At<'n>) -> Head {
        let Some(fields) = at.map(&mut self.findings) else { return Head::default() };
        fields.only(
            &[&["dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"]],
            &mut self.findings,
        );
        if let Some((at, dsl)) = self.required_text(&fields, "dsl") {
            if !is_semantic_version(dsl) {
                self.findings.invalid(&at, format!("'{dsl}' is not a semantic version"));
            } else if !dsl.starts_with("1.0.") {
                self.findings.invalid(&at, format!("version {dsl} of the DSL is not supported, only 1.0"));
            }
        }
        if let Some(at) = fields.get("tags") {
            at.map(&mut self.findings);
        }
        if let Some(at) = fields.get("metadata") {
            self.metadata(&at);
        }
        let mut text =
            |name: &str| fields.get(name).and_then(|at| at.text(&mut self.findings)).map(str::to_owned);
        let (title, summary) = (text("title"), text("summary"));
        Head {
            namespace: self.host_name(&fields, "namespace"),
            name: self.host_name(&fields, "name"),
            version: self.version(&fields),
            title,
            summary,
        }
    }

    fn required_text(&mut self, fields: &Fields<'n>, name: &str) -> Option<(At<'n>, &'n str)> {
        let at = fields.required(name, &mut self.findings)?;
        let text = at.text(&mut self.findings)?;
        Some((at, text))
    }

    fn host_name(&mut self, fields: &Fields<'n>, name: &str) -> String {
        let Some((at, text)) = self.required_text(fields, name) else { return String::new() };
        let inner = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !inner || text.is_empty() || text.len() > 63 || text.starts_with('-') || text.ends_with('-') {
            let rule = "must be 1 to 63 letters, digits and inner hyphens";
            self.findings.invalid(&at, format!("'{text}' {rule}"));
        }
        text.to_owned()
    }

    fn version(&mut self, fields: &Fields<'n>) -> String {
        let Some((at, text)) = self.required_text(fields, "version") else { return String::new() };
        if !is_semantic_version(text) {
            self.findings.invalid(&at, format!("'{text}' is not a semantic version such as 1.0.0"));
        }
        text.to_owned()
    }

    fn evaluate(&mut self, at: &At<'n>) {
        let Some(fields) = at.map(&mut self.findings) else { return };
        fields.only(&[&["language", "mode"]], &mut self.findings);
        if let Some(at) = fields.get("language") {
            at.one_of(&["jq"], &mut self.findings);
        }
        if let Some(at) = fields.get("mode") {
            self.loose = at.one_of(&["strict", "loose"], &mut self.findings) == Some("loose");
        }
    }

    fn components(&mut self, at: &At<'n>) {
        const NAMES: [&str; 8] = [
            "authentications",
            "errors",
            "extensions",
            "functions",
            "retries",
            "secrets",
            "timeouts",
            "catalogs",
        ];
        let Some(fields) = at.map(&mut self.findings) else { return };
        fields.only(&[&NAMES], &mut self.findings);
        for (name, at) in self.entries(&fields, "timeouts") {
            self.timeout(&at);
            self.uses.timeouts.insert(name, at);
        }
        for (name, at) in self.entries(&fields, "errors") {
            if let Some(error) = self.error(&at) {
                self.uses.errors.insert(name, Arc::new(error));
            }
        }
        for (name, at) in self.entries(&fields, "retries") {
            if let Some(retry) = self.with_locals(&["error"], |reader| reader.retry(&at)) {
                self.uses.retries.insert(name, Arc::new(retry));
            }
        }
        for (name, at) in self.entries(&fields, "authentications") {
            if let Some(policy) = self.policy(&at) {
                self.uses.authentications.insert(name, Arc::new(policy));
            }
        }
        self.secrets(&fields);
        let catalogs = self.entries(&fields, "catalogs");
        self.catalogs(catalogs);
        let extensions = self.extensions(&fields);
        self.functions(&fields);
        self.extension_tasks(&extensions);
    }

    fn entries(&mut self, fields: &Fields<'n>, name: &str) -> Vec<(String, At<'n>)> {
        let map = fields.get(name).and_then(|at| at.map(&mut self.findings));
        map.map(|map| map.all().map(|(name, at)| (name.to_owned(), at)).collect()).unwrap_or_default()
    }

    fn secrets(&mut self, fields: &Fields<'n>) {
        let Some(at) = fields.get("secrets") else { return };
        for name in at.list(&mut self.findings).unwrap_or_default() {
            let Some(text) = name.text(&mut self.findings) else { continue };
            if !self.secrets.iter().any(|known| known == text) {
                self.secrets.push(text.to_owned());
            }
        }
    }

    /// Functions may call each other, so their places are kept before any is read.
    fn functions(&mut self, fields: &Fields<'n>) {
        let entries = self.entries(fields, "functions");
        let first = self.reserve(entries.len());
        for (id, (name, _)) in (first..).zip(&entries) {
            self.uses.functions.insert(name.clone(), id);
        }
        for (id, (name, at)) in (first..).zip(&entries) {
            let task = self.task(name, at, &Vec::new());
            self.tasks[id as usize] = task;
        }
    }

    fn schedule(&mut self, at: &At<'n>) -> Start {
        let Some(fields) = at.map(&mut self.findings) else { return Start::default() };
        fields.only(&[&["every", "cron", "after", "on"]], &mut self.findings);
        if fields.len() == 0 {
            self.findings.invalid(at, "needs one of every, cron, after, on");
        }
        let schedule = Schedule {
            every_ms: fields.get("every").and_then(|at| self.fixed(&at)),
            cron: fields.get("cron").and_then(|at| self.cron(&at)),
            after_ms: fields.get("after").and_then(|at| self.fixed(&at)),
        };
        let trigger = fields.get("on").and_then(|at| {
            let strategy = self.strategy(&at, &[])?;
            if strategy.mode == Mode::All && strategy.filters.is_empty() {
                self.findings.invalid(&at, "needs at least one event: nothing would ever start");
            }
            if strategy.mode == Mode::All && strategy.filters.len() > SET_MAX {
                self.findings.invalid(&at, format!("a run may wait for at most {SET_MAX} events to start"));
            }
            Some(Trigger::new(strategy))
        });
        Start { trigger, schedule: (schedule != Schedule::default()).then_some(schedule) }
    }

    fn cron(&mut self, at: &At<'n>) -> Option<Calendar> {
        let text = at.text(&mut self.findings)?;
        match Calendar::parse(text, self.zone) {
            Ok(calendar) => Some(calendar),
            Err(reason) => {
                self.findings.invalid(at, format!("'{text}' is not a cron expression: {reason}"));
                None
            }
        }
    }
}

/// `1.2.3`, `1.2.3-rc.1+build.5`; numbers have no leading zeros.
fn is_semantic_version(text: &str) -> bool {
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = |part: &str| numeric(part) && (part == "0" || !part.starts_with('0'));
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    core.split('.').count() == 3
        && core.split('.').all(canonical)
        && pre.is_none_or(|pre| pre.split('.').all(|part| word(part) && (!numeric(part) || canonical(part))))
        && build.is_none_or(|build| build.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic() {
        for good in ["0.1.0", "1.2.3-rc.1", "1.0.0+x.5", "10.20.30-a-b.0"] {
            assert!(is_semantic_version(good), "{good}");
        }
        for bad in ["1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "v1.0.0", "1.0.0.0", ""] {
            assert!(!is_semantic_version(bad), "{bad}");
        }
    }
}
