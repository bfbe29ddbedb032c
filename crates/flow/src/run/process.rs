//! `run`: scripts, shell commands and other workflows: what is asked for, and what is made of the answer.
//!
//! Invariant: everything is evaluated once and kept until it is answered. A process that was asked for its standard
//! output and failed raises an error; whoever asks for the code gets the code. Not here: running anything.

use super::data::assemble;
use super::machine::Machine;
use super::state::{Asked, Frame, FrameId};
use crate::command::{Child, Code, ProcessCall, Program};
use crate::jq::Val;
use crate::model::{ChildTask, Gives, ProcessTask, ProgramTask};
use crate::template::Template;
use crate::{Fault, FaultKind, Wait, uri};

/// Characters of a failed process's standard error that are told.
const TOLD_CHARS_MAX: usize = 1_000;

/// The version that stands for the current one.
const LATEST: &str = "latest";

impl Machine<'_> {
    pub(super) fn run_process(&mut self, id: FrameId, process: &ProcessTask) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let program = match &process.program {
            ProgramTask::Shell(command) => Program::Shell(self.text(frame, command)?),
            ProgramTask::Inline(language, code) => {
                Program::Script { language: *language, code: Code::Inline(self.text(frame, code)?) }
            }
            ProgramTask::From(language, source) => {
                Program::Script { language: *language, code: Code::From(self.resource(frame, source)?) }
            }
        };
        let arguments = process.arguments.iter().map(|argument| self.written(frame, argument));
        let stdin = self.evaluated(frame, process.stdin.as_ref())?;
        let asked = ProcessCall {
            program,
            arguments: arguments.collect::<Result<_, _>>()?,
            environment: self.environment(frame, process.environment.as_ref())?,
            stdin: stdin.filter(|val| !matches!(val, Val::Null)).map(|val| as_written(&val)),
            wait: process.wait,
            reference: self.task_of(frame).reference.as_str().to_owned(),
        };
        self.ask_for(id, Asked::Process(asked));
        Ok(())
    }

    fn written(&self, frame: &Frame, template: &Template) -> Result<String, Fault> {
        Ok(self.evaluated(frame, Some(template))?.map(|val| as_written(&val)).unwrap_or_default())
    }

    fn environment(
        &self,
        frame: &Frame,
        environment: Option<&Template>,
    ) -> Result<Vec<(String, String)>, Fault> {
        let Some(Val::Obj(variables)) = self.evaluated(frame, environment)? else { return Ok(Vec::new()) };
        let named = variables.members().iter().filter(|(_, val)| !matches!(val, Val::Null));
        Ok(named.map(|(name, val)| (name.as_str().to_owned(), as_written(val))).collect())
    }

    /// `{code, stdout, stderr}` as the task wants it.
    pub(super) fn read_process(
        &self,
        id: FrameId,
        process: &ProcessTask,
        answer: &Val,
    ) -> Result<Val, Fault> {
        if process.wait == Wait::No {
            return Ok(self.frame(id).map(|frame| frame.input.clone()).unwrap_or_default());
        }
        let given = |name: &str| answer.get(name).cloned();
        let code = given("code").unwrap_or_default();
        match process.gives {
            Gives::None => Ok(Val::Null),
            Gives::Code => Ok(code),
            Gives::Stderr => Ok(given("stderr").unwrap_or_else(|| Val::str(""))),
            Gives::All => assemble(|| {
                Val::record([
                    ("code", code),
                    ("stdout", given("stdout").unwrap_or_else(|| Val::str(""))),
                    ("stderr", given("stderr").unwrap_or_else(|| Val::str(""))),
                ])
            }),
            Gives::Stdout if code.as_number() == Some(0.0) => {
                Ok(given("stdout").unwrap_or_else(|| Val::str("")))
            }
            Gives::Stdout => {
                let told = given("stderr").map(|val| end_of(&as_written(&val))).unwrap_or_default();
                let detail = format!("the process ended with code {code}: {told}");
                Err(Fault::new(FaultKind::Runtime, detail.trim_end_matches([' ', ':'])))
            }
        }
    }

    pub(super) fn run_child(&mut self, id: FrameId, child: &ChildTask) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let version = self.text(frame, &child.version)?;
        let input = self.evaluated(frame, child.input.as_ref())?;
        let asked = Child {
            namespace: self.text(frame, &child.namespace)?,
            name: self.text(frame, &child.name)?,
            version: (version != LATEST).then_some(version),
            input: input.map_or_else(|| serde_json::json!({}), |val| val.to_json()),
            wait: child.wait,
            reference: self.task_of(frame).reference.as_str().to_owned(),
        };
        self.ask_for(id, Asked::Child(asked));
        Ok(())
    }

    /// A workflow has one result, its output; there are no streams to choose from.
    pub(super) fn read_child(&self, id: FrameId, child: &ChildTask, answer: &Val) -> Val {
        if child.wait == Wait::No {
            return self.frame(id).map(|frame| frame.input.clone()).unwrap_or_default();
        }
        if child.gives == Gives::None { Val::Null } else { answer.clone() }
    }
}

/// Text as it is, anything else as JSON.
fn as_written(val: &Val) -> String {
    uri::scalar(val).unwrap_or_else(|| val.to_string())
}

fn end_of(text: &str) -> String {
    let text = text.trim();
    let left_out = text.chars().count().saturating_sub(TOLD_CHARS_MAX);
    text.chars().skip(left_out).collect()
}
