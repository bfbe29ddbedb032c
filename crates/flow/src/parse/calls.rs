//! `call`: HTTP, OpenAPI and functions.
//!
//! Invariant: kinds that are not offered are checked all the same (`foreign`), then become tasks that fault.
//! Not here: performing calls.

use super::Reader;
use super::endpoint::OWN_API;
use super::link::FunctionOr;
use super::task::COMMON;
use super::values::literal_text;
use super::walk::{At, Fields};
use crate::HttpOutput;
use crate::jq::Val;
use crate::model::{Endpoint, HttpTask, Kind, Located, OpenApiTask};
use crate::template::{Template, whole_expression};
use crate::yaml::{Content, Node};

impl<'n> Reader<'n> {
    pub(super) fn call(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["call", "with"]], &mut self.findings);
        let at = fields.get("call")?;
        match at.text(&mut self.findings)? {
            "http" => {
                let with = fields.required("with", &mut self.findings)?;
                self.http(&with)
            }
            "openapi" => {
                let with = fields.required("with", &mut self.findings)?;
                self.openapi(&with)
            }
            kind @ ("grpc" | "asyncapi" | "a2a" | "mcp") => {
                let with = fields.required("with", &mut self.findings)?.map(&mut self.findings)?;
                self.foreign_call(kind, &with);
                Some(self.unsupported(&at, format!("calls of kind '{kind}' are not offered")))
            }
            name => self.function(&at, fields, name),
        }
    }

    pub(super) fn unsupported(&mut self, at: &At<'n>, reason: String) -> Kind {
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
            return Some(match self.linked_function(at, name)? {
                FunctionOr::Function(id) => Kind::Function(id, with),
                FunctionOr::Kind(kind) => kind,
            });
        }
        self.findings.invalid(at, format!("there is no function '{name}' in use.functions"));
        None
    }

    fn http(&mut self, at: &At<'n>) -> Option<Kind> {
        let fields = at.map(&mut self.findings)?;
        let names = ["method", "endpoint", "headers", "body", "query", "output", "redirect"];
        fields.only(&[&names], &mut self.findings);
        let method = fields.required("method", &mut self.findings).and_then(|at| self.method(&at));
        let endpoint = fields.required("endpoint", &mut self.findings).and_then(|at| self.endpoint(&at));
        let task = HttpTask {
            headers: fields.get("headers").and_then(|at| self.map_or_expression(&at, Lists::Refused)),
            query: fields.get("query").and_then(|at| self.map_or_expression(&at, Lists::Repeat)),
            body: fields.get("body").and_then(|at| self.template(&at)),
            output: self.output(&fields),
            redirect: self.redirect(&fields),
            method: method?,
            endpoint: endpoint?,
        };
        Some(Kind::Http(Box::new(task)))
    }

    fn output(&mut self, fields: &Fields<'n>) -> HttpOutput {
        let words = ["raw", "content", "response"];
        match fields.get("output").and_then(|at| at.one_of(&words, &mut self.findings)) {
            Some("raw") => HttpOutput::Raw,
            Some("response") => HttpOutput::Response,
            _ => HttpOutput::Content,
        }
    }

    fn redirect(&mut self, fields: &Fields<'n>) -> bool {
        fields.get("redirect").and_then(|at| at.boolean(&mut self.findings)).unwrap_or(false)
    }

    fn openapi(&mut self, at: &At<'n>) -> Option<Kind> {
        let fields = at.map(&mut self.findings)?;
        let names = ["document", "operationId", "parameters", "authentication", "output", "redirect"];
        fields.only(&[&names], &mut self.findings);
        let document = fields.required("document", &mut self.findings).and_then(|at| self.described(&at));
        let operation = self.required_template(&fields, "operationId");
        let parameters = fields.get("parameters").and_then(|at| {
            at.map(&mut self.findings)?;
            self.template(&at)
        });
        let task = OpenApiTask {
            parameters,
            policy: fields.get("authentication").and_then(|at| self.authentication(&at)),
            output: self.output(&fields),
            redirect: self.redirect(&fields),
            document: document?,
            operation: operation?,
        };
        Some(Kind::OpenApi(Box::new(task)))
    }

    /// The document of an OpenAPI call; this server's own is not a resource elsewhere.
    fn described(&mut self, at: &At<'n>) -> Option<Located> {
        let own = |at: &At<'n>| at.as_text() == Some(OWN_API);
        let fields = at.map(&mut self.findings)?;
        let endpoint = fields.get("endpoint");
        let uri =
            endpoint.as_ref().filter(|at| at.is_map()).and_then(|at| at.map(&mut self.findings)?.get("uri"));
        if endpoint.as_ref().is_some_and(own) || uri.as_ref().is_some_and(own) {
            return Some(Located { uri: Endpoint::Uri(OWN_API.to_owned()), policy: None });
        }
        self.resource(at)
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
    fn map_or_expression(&mut self, at: &At<'n>, lists: Lists) -> Option<Template> {
        let expression = at.as_text().is_some_and(|text| whole_expression(text).is_some() || self.loose);
        if !expression {
            for (_, member) in at.map(&mut self.findings)?.all() {
                let fits = match &member.node.content {
                    Content::Map(_) => false,
                    Content::List(items) => {
                        let scalar =
                            |item: &Node| !matches!(item.content, Content::Map(_) | Content::List(_));
                        lists == Lists::Repeat && items.iter().all(scalar)
                    }
                    _ => true,
                };
                if !fits {
                    self.findings.invalid(&member, format!("must be text, not {}", member.node.kind()));
                }
            }
        }
        self.template(at)
    }
}

/// What a list means among headers or parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lists {
    Refused,
    /// Its name is repeated.
    Repeat,
}
