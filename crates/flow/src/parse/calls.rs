//! Tasks that reach outside: call and run.
//!
//! Invariant: kinds that are not offered are checked for their required properties all the same, then become
//! tasks that fault. Not here: performing calls.

use super::Reader;
use super::task::COMMON;
use super::values::literal_text;
use super::walk::{At, Fields};
use crate::HttpOutput;
use crate::jq::Val;
use crate::model::{HttpTask, Kind};
use crate::template::{Template, whole_expression};

impl<'n> Reader<'n> {
    pub(super) fn call(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["call", "with"]], &mut self.findings);
        let at = fields.get("call")?;
        match at.text(&mut self.findings)? {
            "http" => {
                let with = fields.required("with", &mut self.findings)?;
                self.http(&with)
            }
            "openapi" => self.not_offered(&at, fields, &["document", "operationId"]),
            "grpc" => self.not_offered(&at, fields, &["proto", "service", "method"]),
            "asyncapi" => self.not_offered(&at, fields, &["document"]),
            "a2a" => self.not_offered(&at, fields, &["method"]),
            "mcp" => self.not_offered(&at, fields, &["method", "transport"]),
            name => self.function(&at, fields, name),
        }
    }

    fn not_offered(&mut self, at: &At<'n>, fields: &Fields<'n>, required: &[&str]) -> Option<Kind> {
        let with = fields.required("with", &mut self.findings)?.map(&mut self.findings)?;
        for name in required {
            with.required(name, &mut self.findings);
        }
        let kind = at.as_text().unwrap_or_default();
        Some(self.unsupported(at, format!("calls of kind '{kind}' are not offered")))
    }

    fn unsupported(&mut self, at: &At<'n>, reason: String) -> Kind {
        self.findings.unsupported(at, reason.clone());
        Kind::Unsupported(reason)
    }

    fn function(&mut self, at: &At<'n>, fields: &Fields<'n>, name: &str) -> Option<Kind> {
        let with = match fields.get("with") {
            Some(at) => {
                at.map(&mut self.findings)?;
                self.template(&at)?
            }
            None => Template::Literal(Val::obj(std::collections::BTreeMap::new())),
        };
        if let Some(id) = self.uses.functions.get(name) {
            return Some(Kind::Function(*id, with));
        }
        if name.contains('@') || name.contains("://") {
            return Some(self.unsupported(at, format!("functions from catalogs ('{name}') are not offered")));
        }
        self.findings.invalid(at, format!("there is no function '{name}' in use.functions"));
        None
    }

    fn http(&mut self, at: &At<'n>) -> Option<Kind> {
        let fields = at.map(&mut self.findings)?;
        let names = ["method", "endpoint", "headers", "body", "query", "output", "redirect"];
        fields.only(&[&names], &mut self.findings);
        let method = fields.required("method", &mut self.findings).and_then(|at| self.method(&at));
        let endpoint = fields.required("endpoint", &mut self.findings);
        let address = endpoint.as_ref().and_then(|at| self.endpoint(at));
        let output = fields
            .get("output")
            .and_then(|at| at.one_of(&["raw", "content", "response"], &mut self.findings));
        let task = HttpTask {
            headers: fields.get("headers").and_then(|at| self.map_or_expression(&at)),
            query: fields.get("query").and_then(|at| self.map_or_expression(&at)),
            body: fields.get("body").and_then(|at| self.template(&at)),
            output: match output {
                Some("raw") => HttpOutput::Raw,
                Some("response") => HttpOutput::Response,
                _ => HttpOutput::Content,
            },
            redirect: fields.get("redirect").and_then(|at| at.boolean(&mut self.findings)).unwrap_or(false),
            method: method?,
            endpoint: match address? {
                (address, false) => address,
                (_, true) => {
                    return Some(
                        self.unsupported(&endpoint?, "authentication of calls is not offered".to_owned()),
                    );
                }
            },
        };
        Some(Kind::Http(Box::new(task)))
    }

    fn method(&mut self, at: &At<'n>) -> Option<Template> {
        at.text(&mut self.findings)?;
        let template = self.template(at)?;
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if let Some(text) = literal_text(&template)
            && !plain(text)
        {
            self.findings.invalid(at, format!("'{text}' is not an HTTP method"));
        }
        Some(template)
    }

    /// Headers and query: an object, or an expression that gives one.
    fn map_or_expression(&mut self, at: &At<'n>) -> Option<Template> {
        let expression = at.as_text().is_some_and(|text| whole_expression(text).is_some() || self.loose);
        if !expression {
            at.map(&mut self.findings)?;
        }
        self.template(at)
    }

    pub(super) fn run(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        const KINDS: [(&str, &[&str]); 4] = [
            ("container", &["image"]),
            ("script", &["language"]),
            ("shell", &["command"]),
            ("workflow", &["namespace", "name", "version"]),
        ];
        fields.only(&[COMMON, &["run"]], &mut self.findings);
        let at = fields.get("run")?;
        let run = at.map(&mut self.findings)?;
        run.only(&[&["container", "script", "shell", "workflow", "await", "return"]], &mut self.findings);
        if let Some(at) = run.get("await") {
            at.boolean(&mut self.findings);
        }
        if let Some(at) = run.get("return") {
            at.one_of(&["stdout", "stderr", "code", "all", "none"], &mut self.findings);
        }
        let found: Vec<_> = KINDS.iter().filter(|(kind, _)| run.has(kind)).collect();
        let [(kind, required)] = found.as_slice() else {
            self.findings.invalid(&at, "needs exactly one of container, script, shell, workflow");
            return None;
        };
        let process = run.get(kind)?.map(&mut self.findings)?;
        for name in *required {
            process.required(name, &mut self.findings);
        }
        Some(self.unsupported(&at, format!("running a {kind} is not offered")))
    }
}
