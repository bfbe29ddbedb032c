//! Templates, and the data flow of workflows and tasks: `input`, `output`, `export`, schemas.
//!
//! Invariant: expressions are compiled here, once, and schemas too. Not here: when they are applied (`run`).

use std::sync::Arc;

use super::Reader;
use super::link::Linked;
use super::walk::{At, Fields};
use crate::jq::{Expr, Val};
use crate::model::Data;
use crate::template::{Segment, Template, segments, whole_expression};
use crate::yaml::Content;
use crate::{FaultKind, Schema, jq};

impl<'n> Reader<'n> {
    /// A value that may hold expressions.
    pub(super) fn template(&mut self, at: &At<'n>) -> Option<Template> {
        match &at.node.content {
            Content::Text(text) => self.text_template(at, text),
            Content::List(_) => {
                let items = at.list(&mut self.findings)?;
                let items = items.iter().map(|item| self.template(item)).collect::<Option<Vec<_>>>()?;
                Some(list(items))
            }
            Content::Map(_) => {
                let fields = at.map(&mut self.findings)?;
                let mut members = Vec::with_capacity(fields.len());
                for (name, at) in fields.all() {
                    let at = At { place: at.place, ..at };
                    members.push((Arc::new(name.to_owned()), self.template(&at)?));
                }
                Some(object(members))
            }
            _ => self.literal(at),
        }
    }

    fn literal(&mut self, at: &At<'n>) -> Option<Template> {
        match Val::from_json(&at.json()) {
            Ok(val) => Some(Template::Literal(val)),
            Err(cut) => {
                self.findings.invalid(at, cut.reason());
                None
            }
        }
    }

    fn text_template(&mut self, at: &At<'n>, text: &str) -> Option<Template> {
        if let Some(code) = whole_expression(text) {
            return self.code(at, code).map(Template::Expr);
        }
        if self.loose {
            let locals = &self.locals;
            let known =
                |name: &str| super::ARGUMENTS.contains(&name) || locals.iter().any(|local| local == name);
            let plain = Val::str(text);
            return Some(match Expr::compile(text, &known) {
                Ok(expr) => Template::Loose(expr, plain),
                Err(_) => Template::Literal(plain),
            });
        }
        self.segmented(at, text, segments(text))
    }

    /// Text in which some parts are expressions.
    pub(super) fn segmented(
        &mut self,
        at: &At<'n>,
        text: &str,
        parts: Result<Option<Vec<Segment<&str>>>, String>,
    ) -> Option<Template> {
        match parts {
            Ok(None) => Some(Template::Literal(Val::str(text))),
            Ok(Some(parts)) => {
                let compiled = parts.into_iter().map(|part| match part {
                    Segment::Plain(plain) => Some(Segment::Plain(plain)),
                    Segment::Expr(code) => self.code(at, code).map(Segment::Expr),
                });
                Some(Template::Text(compiled.collect::<Option<_>>()?))
            }
            Err(reason) => {
                self.findings.invalid(at, reason);
                None
            }
        }
    }

    /// `input`, `output` or `export`; `shape` is the name of its transformation.
    pub(super) fn data(&mut self, fields: &Fields<'n>, name: &str, shape: &str) -> Data {
        let Some(at) = fields.get(name) else { return Data::default() };
        let Some(fields) = at.map(&mut self.findings) else { return Data::default() };
        fields.only(&[&["schema", shape]], &mut self.findings);
        let mut data = Data::default();
        if let Some(at) = fields.get("schema") {
            self.schema(&at, &mut data);
        }
        data.shape = fields.get(shape).and_then(|at| self.shape(&at));
        data
    }

    /// A transformation: text is an expression with or without `${ }`, an object is a template.
    fn shape(&mut self, at: &At<'n>) -> Option<Template> {
        if at.as_text().is_some() {
            return self.expr(at).map(Template::Expr);
        }
        if at.is_map() {
            return self.template(at);
        }
        self.findings.invalid(at, format!("must be an expression or an object, not {}", at.node.kind()));
        None
    }

    fn schema(&mut self, at: &At<'n>, data: &mut Data) {
        let Some(fields) = at.map(&mut self.findings) else { return };
        fields.only(&[&["format", "document", "resource"]], &mut self.findings);
        let format = fields.get("format").and_then(|at| at.text(&mut self.findings)).unwrap_or("json");
        if format != "json" && !format.starts_with("json:") {
            let reason = format!("schemas of format '{format}' are not offered");
            self.findings.unsupported(at, reason.clone());
            data.refused = Some((FaultKind::Configuration, reason));
            return;
        }
        match (fields.get("document"), fields.get("resource")) {
            (Some(_), Some(resource)) => {
                self.findings.invalid(&resource, "needs only one of 'document', 'resource'");
            }
            (Some(document), None) => self.compiled(&document, &document.json(), data),
            (None, Some(resource)) => match self.linked_resource(&resource) {
                Some(Linked::Here(node)) => self.compiled(&resource, &node.to_json(), data),
                Some(Linked::Missing(reason)) => data.refused = Some((FaultKind::Communication, reason)),
                None => {}
            },
            (None, None) => self.findings.invalid(at, "needs 'document' or 'resource'"),
        }
    }

    fn compiled(&mut self, at: &At<'n>, document: &serde_json::Value, data: &mut Data) {
        match Schema::compile(document) {
            Ok(schema) => data.schema = Some(schema),
            Err(reason) => self.findings.invalid(at, format!("not a valid JSON Schema: {reason}")),
        }
    }
}

fn list(items: Vec<Template>) -> Template {
    if items.iter().all(|item| matches!(item, Template::Literal(_))) {
        let literals =
            items.into_iter().map(|item| if let Template::Literal(val) = item { val } else { Val::Null });
        return Template::Literal(jq::Val::arr(literals.collect()));
    }
    Template::List(items)
}

fn object(members: Vec<(Arc<String>, Template)>) -> Template {
    if members.iter().all(|(_, member)| matches!(member, Template::Literal(_))) {
        let literal =
            |(name, member)| (name, if let Template::Literal(val) = member { val } else { Val::Null });
        return Template::Literal(Val::obj(members.into_iter().map(literal).collect()));
    }
    Template::Object(members)
}
