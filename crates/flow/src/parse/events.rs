//! Tasks about events: emit, listen, and the event filters `schedule.on` shares with them.
//!
//! Invariant: a filter compares at least one attribute. Not here: matching (`event`).

use std::sync::Arc;

use super::Reader;
use super::task::COMMON;
use super::walk::{At, Fields};
use crate::event::{Correlation, FilterSpec, Mode, Pattern, Strategy, Until};
use crate::jq::Val;
use crate::model::{Each, Kind, ListenTask, Read};
use crate::template::whole_expression;
use crate::uri;
use crate::yaml::Content;

impl<'n> Reader<'n> {
    pub(super) fn emit(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["emit"]], &mut self.findings);
        let emit = fields.get("emit")?.map(&mut self.findings)?;
        emit.only(&[&["event"]], &mut self.findings);
        let event = emit.required("event", &mut self.findings)?.map(&mut self.findings)?;
        let at = event.required("with", &mut self.findings)?;
        let with = at.map(&mut self.findings)?;
        for name in ["source", "type"] {
            with.required(name, &mut self.findings);
        }
        self.attributes(&with);
        self.template(&at).map(Kind::Emit)
    }

    /// What holds for the attributes of every event.
    fn attributes(&mut self, with: &Fields<'n>) {
        for name in ["id", "type", "subject", "datacontenttype", "time"] {
            if let Some(at) = with.get(name) {
                at.text(&mut self.findings);
            }
        }
        for name in ["source", "dataschema"] {
            let Some(at) = with.get(name) else { continue };
            let text = at.text(&mut self.findings).unwrap_or("a://");
            if !text.contains("${") && !self.loose && !uri::is_absolute(text) {
                self.findings.invalid(&at, format!("'{text}' is not a URI"));
            }
        }
    }

    pub(super) fn listen(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["listen", "foreach"]], &mut self.findings);
        let listen = fields.get("listen")?.map(&mut self.findings)?;
        listen.only(&[&["to", "read"]], &mut self.findings);
        let known = super::ARGUMENTS;
        let strategy = listen.required("to", &mut self.findings).and_then(|at| self.strategy(&at, &known));
        let words = ["data", "envelope", "raw"];
        let read = match listen.get("read").and_then(|at| at.one_of(&words, &mut self.findings)) {
            Some("envelope") => Read::Envelope,
            Some("raw") => Read::Raw,
            _ => Read::Data,
        };
        let each = fields.get("foreach").and_then(|at| self.each(&at));
        Some(Kind::Listen(Box::new(ListenTask { strategy: strategy?, read, each })))
    }

    pub(super) fn each(&mut self, at: &At<'n>) -> Option<Each> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["item", "at", "do", "output", "export"]], &mut self.findings);
        let item = self.variable(fields.get("item").as_ref(), "item");
        let at = self.variable(fields.get("at").as_ref(), "index");
        Some(self.with_locals(&[&item, &at], |reader| Each {
            item: item.clone(),
            at: at.clone(),
            block: fields.get("do").map(|at| reader.block(&at)).unwrap_or_default(),
            output: reader.data(&fields, "output", "as"),
            export: reader.data(&fields, "export", "as"),
        }))
    }

    /// One, any or all of some events; `known` are the variables its expressions may use.
    pub(super) fn strategy(&mut self, at: &At<'n>, known: &[&str]) -> Option<Strategy> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["one", "any", "all", "until"]], &mut self.findings);
        let found: Vec<&str> = ["one", "any", "all"].into_iter().filter(|mode| fields.has(mode)).collect();
        let [mode] = found.as_slice() else {
            self.findings.invalid(at, "needs exactly one of one, any, all");
            return None;
        };
        let events = fields.get(mode)?;
        let filters = if *mode == "one" { vec![events.clone()] } else { events.list(&mut self.findings)? };
        let filters = filters.iter().filter_map(|at| self.filter(at, known)).map(Arc::new).collect();
        let mode = match *mode {
            "one" => Mode::One,
            "any" => Mode::Any,
            _ => Mode::All,
        };
        let until = fields.get("until").filter(|_| mode == Mode::Any).and_then(|at| self.until(&at, known));
        Some(Strategy { mode, filters, until })
    }

    fn until(&mut self, at: &At<'n>, known: &[&str]) -> Option<Until> {
        if at.as_text().is_some() {
            return self.condition(at, known).map(Until::Condition);
        }
        if let Some(inner) = at.map(&mut self.findings)?.get("until") {
            self.findings.invalid(&inner, "'until' cannot have an 'until' itself");
        }
        self.strategy(at, known).map(|strategy| Until::Events(Box::new(strategy)))
    }

    pub(super) fn filter(&mut self, at: &At<'n>, known: &[&str]) -> Option<FilterSpec> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["with", "correlate"]], &mut self.findings);
        let with = fields.required("with", &mut self.findings)?;
        let attributes = with.map(&mut self.findings)?;
        if attributes.len() == 0 {
            self.findings.invalid(&with, "needs at least one attribute to compare");
        }
        for name in ["id", "source", "type", "subject", "datacontenttype", "dataschema", "time"] {
            if let Some(at) = attributes.get(name) {
                at.text(&mut self.findings);
            }
        }
        let mut patterns = Vec::new();
        for (name, at) in attributes.all() {
            patterns.push((name.to_owned(), self.pattern(&at, known)?));
        }
        let literal = patterns.iter().find(|(name, _)| name == "type");
        let event_type = literal.and_then(|(_, pattern)| match pattern {
            Pattern::Literal(val) => val.as_str().map(str::to_owned),
            _ => None,
        });
        let correlate = fields.get("correlate").map(|at| self.correlations(&at, known)).unwrap_or_default();
        Some(FilterSpec { source: at.json(), event_type, with: patterns, correlate })
    }

    fn pattern(&mut self, at: &At<'n>, known: &[&str]) -> Option<Pattern> {
        match &at.node.content {
            Content::Text(text) => match whole_expression(text) {
                Some(_) => self.condition(at, known).map(Pattern::Expr),
                None => Some(Pattern::text(text)),
            },
            Content::Map(_) => {
                let fields = at.map(&mut self.findings)?;
                let member = |(name, at): (&str, At<'n>)| Some((name.to_owned(), self.pattern(&at, known)?));
                fields.all().map(member).collect::<Option<_>>().map(Pattern::Object)
            }
            Content::List(_) => {
                let items = at.list(&mut self.findings)?;
                items.iter().map(|at| self.pattern(at, known)).collect::<Option<_>>().map(Pattern::List)
            }
            _ => Some(Pattern::Literal(Val::from_json(&at.json()).unwrap_or_default())),
        }
    }

    /// An expression of a filter; where nothing runs yet there is nothing to refer to.
    pub(super) fn condition(&mut self, at: &At<'n>, known: &[&str]) -> Option<crate::jq::Expr> {
        let expr = self.expr(at)?;
        let unknown = expr
            .vars()
            .iter()
            .find(|name| super::ARGUMENTS.contains(&name.as_str()) && !known.contains(&name.as_str()));
        if let Some(name) = unknown {
            self.findings.invalid(at, format!("${name} is not available before a run has started"));
        }
        Some(expr)
    }

    fn correlations(&mut self, at: &At<'n>, known: &[&str]) -> Vec<Correlation> {
        let Some(fields) = at.map(&mut self.findings) else { return Vec::new() };
        let mut correlations = Vec::new();
        for (name, at) in fields.all() {
            let Some(fields) = at.map(&mut self.findings) else { continue };
            fields.only(&[&["from", "expect"]], &mut self.findings);
            let from = fields.required("from", &mut self.findings).and_then(|at| self.condition(&at, known));
            let expect = fields.get("expect").and_then(|at| {
                let is_code = at.as_text().is_some_and(|text| whole_expression(text).is_some());
                if is_code {
                    return self.condition(&at, known).map(Pattern::Expr);
                }
                if matches!(at.node.content, Content::Map(_) | Content::List(_) | Content::Null) {
                    self.findings.invalid(&at, format!("must be a text, not {}", at.node.kind()));
                }
                Some(Pattern::Literal(Val::from_json(&at.json()).unwrap_or_default()))
            });
            if let Some(from) = from {
                correlations.push(Correlation { name: name.to_owned(), from, expect });
            }
        }
        correlations
    }
}
