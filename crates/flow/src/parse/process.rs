//! `run`: scripts, shell commands and other workflows.
//!
//! Invariant: whether processes are offered is the operator's decision, so each is reported to the driver with its
//! place. Not here: containers (`foreign`) and performing any of it.

use super::Reader;
use super::task::COMMON;
use super::walk::{At, Fields};
use crate::model::{ChildTask, Gives, Kind, ProcessTask, ProgramTask};
use crate::template::{Template, shell_segments};
use crate::{Issue, IssueKind, Language, Wait};

impl<'n> Reader<'n> {
    pub(super) fn run(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        const KINDS: [&str; 4] = ["container", "script", "shell", "workflow"];
        fields.only(&[COMMON, &["run"]], &mut self.findings);
        let at = fields.get("run")?;
        let run = at.map(&mut self.findings)?;
        run.only(&[&KINDS, &["await", "return"]], &mut self.findings);
        let wait = match run.get("await").and_then(|at| at.boolean(&mut self.findings)) {
            Some(false) => Wait::No,
            _ => Wait::Yes,
        };
        let gives = run.get("return").map(|at| self.gives(&at)).unwrap_or_default();
        let found: Vec<_> = KINDS.into_iter().filter_map(|kind| Some((kind, run.get(kind)?))).collect();
        let [(kind, process)] = found.as_slice() else {
            self.findings.invalid(&at, "needs exactly one of container, script, shell, workflow");
            return None;
        };
        let fields = process.map(&mut self.findings)?;
        match *kind {
            "container" => {
                self.container(&fields);
                Some(self.unsupported(&at, "running a container is not offered".to_owned()))
            }
            "workflow" => self.child(&fields, wait, gives),
            "shell" => {
                self.process_at(process, "shell commands");
                fields.only(&[&["command", "stdin", "arguments", "environment"]], &mut self.findings);
                let command = fields.required("command", &mut self.findings);
                let command = command.and_then(|at| self.shell_template(&at));
                self.process(&fields, command.map(ProgramTask::Shell), wait, gives)
            }
            _ => self.script(process, &fields, wait, gives),
        }
    }

    fn gives(&mut self, at: &At<'n>) -> Gives {
        match at.one_of(&["stdout", "stderr", "code", "all", "none"], &mut self.findings) {
            Some("stderr") => Gives::Stderr,
            Some("code") => Gives::Code,
            Some("all") => Gives::All,
            Some("none") => Gives::None,
            _ => Gives::Stdout,
        }
    }

    /// Notes that here a process is run.
    fn process_at(&mut self, at: &At<'n>, what: &str) {
        self.processes.push(Issue {
            line: at.place.line,
            column: at.place.column,
            path: at.path.clone(),
            reason: format!("{what} are not switched on"),
            kind: IssueKind::Unsupported,
        });
    }

    fn script(&mut self, at: &At<'n>, fields: &Fields<'n>, wait: Wait, gives: Gives) -> Option<Kind> {
        let names = ["language", "code", "source", "stdin", "arguments", "environment"];
        fields.only(&[&names], &mut self.findings);
        let word = fields.required("language", &mut self.findings);
        let code = fields.get("code").and_then(|at| self.code_template(&at));
        let source = fields.get("source").and_then(|at| self.resource(&at));
        if fields.has("code") == fields.has("source") {
            self.findings.invalid(at, "needs exactly one of code, source");
        }
        let language = match word.as_ref()?.text(&mut self.findings)? {
            "js" | "javascript" => Language::JavaScript,
            "python" => Language::Python,
            other => {
                self.process(fields, None, wait, gives);
                let reason = format!("scripts in '{other}' are not offered, only js and python");
                return Some(self.unsupported(&word?, reason));
            }
        };
        self.process_at(at, "scripts");
        let program = match (code, source) {
            (Some(code), _) => Some(ProgramTask::Inline(language, code)),
            (_, Some(source)) => Some(ProgramTask::From(language, source)),
            _ => None,
        };
        self.process(fields, program, wait, gives)
    }

    fn process(
        &mut self,
        fields: &Fields<'n>,
        program: Option<ProgramTask>,
        wait: Wait,
        gives: Gives,
    ) -> Option<Kind> {
        let environment = fields.get("environment").and_then(|at| {
            at.map(&mut self.findings)?;
            self.template(&at)
        });
        let arguments = self.texts(fields, "arguments");
        let stdin = self.text_member(fields, "stdin");
        Some(Kind::Process(Box::new(ProcessTask {
            program: program?,
            arguments,
            environment,
            stdin,
            wait,
            gives,
        })))
    }

    /// A script is an expression as a whole or not at all: `${ }` inside it belongs to its own language.
    fn code_template(&mut self, at: &At<'n>) -> Option<Template> {
        let text = at.text(&mut self.findings)?;
        if crate::template::whole_expression(text).is_some() {
            return self.template(at);
        }
        Some(Template::Literal(crate::jq::Val::str(text)))
    }

    /// A shell has its own `${NAME}`.
    fn shell_template(&mut self, at: &At<'n>) -> Option<Template> {
        let text = at.text(&mut self.findings)?;
        self.segmented(at, text, shell_segments(text))
    }

    fn child(&mut self, fields: &Fields<'n>, wait: Wait, gives: Gives) -> Option<Kind> {
        fields.only(&[&["namespace", "name", "version", "input"]], &mut self.findings);
        let [namespace, name, version] =
            ["namespace", "name", "version"].map(|name| self.required_template(fields, name));
        let input = fields.get("input").and_then(|at| self.template(&at));
        Some(Kind::Child(Box::new(ChildTask {
            namespace: namespace?,
            name: name?,
            version: version?,
            input,
            wait,
            gives,
        })))
    }
}
