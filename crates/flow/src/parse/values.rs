//! Small parts of the language: durations, timeouts, errors, retries.
//!
//! Invariant: references to reusable components are resolved here. Not here: tasks, endpoints and authentication (`endpoint`).

use std::sync::Arc;

use super::Reader;
use super::walk::{At, Fields};
use crate::duration;
use crate::jq::Val;
use crate::model::{Backoff, Delay, ErrorFilter, ErrorTemplate, Retry};
use crate::template::{Template, whole_expression};
use crate::uri;

impl<'n> Reader<'n> {
    pub(super) fn delay(&mut self, at: &At<'n>) -> Option<Delay> {
        if let Some(text) = at.as_text() {
            if let Some(code) = whole_expression(text) {
                return self.code(at, code).map(|expr| Delay::Expr(Template::Expr(expr)));
            }
            let ms = duration::from_iso8601(text);
            if ms.is_none() {
                self.findings.invalid(at, format!("'{text}' is not an ISO 8601 duration such as PT30S"));
            }
            return ms.map(Delay::Fixed);
        }
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["days", "hours", "minutes", "seconds", "milliseconds"]], &mut self.findings);
        if fields.len() == 0 {
            self.findings.invalid(at, "an empty duration");
        }
        for (_, part) in fields.all() {
            part.integer(&mut self.findings).filter(|amount| *amount < 0).inspect(|_| {
                self.findings.invalid(&part, "must not be negative");
            });
        }
        duration::from_parts(&at.json()).map(Delay::Fixed)
    }

    /// A timeout, or the name of one.
    pub(super) fn timeout(&mut self, at: &At<'n>) -> Option<Delay> {
        if let Some(name) = at.as_text() {
            let Some(known) = self.uses.timeouts.get(name).cloned() else {
                self.findings.invalid(at, format!("there is no timeout '{name}' in use.timeouts"));
                return None;
            };
            return self.timeout(&known);
        }
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["after"]], &mut self.findings);
        fields.required("after", &mut self.findings).and_then(|at| self.delay(&at))
    }

    pub(super) fn error(&mut self, at: &At<'n>) -> Option<ErrorTemplate> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["type", "status", "instance", "title", "detail"]], &mut self.findings);
        let kind = fields.required("type", &mut self.findings);
        if let Some(text) = kind.as_ref().and_then(|at| at.text(&mut self.findings))
            && whole_expression(text).is_none()
            && !uri::is_absolute(text)
        {
            self.findings.invalid(&fields.get("type")?, format!("'{text}' is not a URI"));
        }
        let status = fields.required("status", &mut self.findings)?;
        if status.as_text().and_then(whole_expression).is_none() {
            let fits = |status: &i64| (100..=599).contains(status);
            if status.integer(&mut self.findings).is_some_and(|number| !fits(&number)) {
                self.findings.invalid(&status, "must be between 100 and 599");
            }
        }
        Some(ErrorTemplate {
            kind: self.template(&kind?)?,
            status: self.template(&status)?,
            title: self.text_member(&fields, "title"),
            detail: self.text_member(&fields, "detail"),
            instance: self.text_member(&fields, "instance"),
        })
    }

    /// Text that may hold expressions.
    pub(super) fn text_member(&mut self, fields: &Fields<'n>, name: &str) -> Option<Template> {
        let at = fields.get(name)?;
        at.text(&mut self.findings)?;
        self.template(&at)
    }

    pub(super) fn error_filter(&mut self, at: &At<'n>) -> Option<ErrorFilter> {
        let fields = at.map(&mut self.findings)?;
        let with = fields.get("with")?;
        let fields = with.map(&mut self.findings)?;
        if fields.len() == 0 {
            self.findings.invalid(&with, "needs at least one property to compare");
        }
        fields.only(&[&["type", "status", "instance", "title", "detail", "details"]], &mut self.findings);
        for name in ["type", "instance", "title", "detail", "details"] {
            if let Some(at) = fields.get(name) {
                at.text(&mut self.findings);
            }
        }
        if let Some(at) = fields.get("status").filter(|at| at.as_text().and_then(whole_expression).is_none())
        {
            at.integer(&mut self.findings);
        }
        let mut member = |name: &str| fields.get(name).and_then(|at| self.template(&at));
        Some(ErrorFilter {
            kind: member("type"),
            status: member("status"),
            instance: member("instance"),
            title: member("title"),
            detail: member("detail").or_else(|| member("details")),
        })
    }

    /// A retry policy, or the name of one.
    pub(super) fn retry_or_name(&mut self, at: &At<'n>) -> Option<Arc<Retry>> {
        let Some(name) = at.as_text() else { return self.retry(at).map(Arc::new) };
        let known = self.uses.retries.get(name).cloned();
        if known.is_none() {
            self.findings.invalid(at, format!("there is no retry policy '{name}' in use.retries"));
        }
        known
    }

    pub(super) fn retry(&mut self, at: &At<'n>) -> Option<Retry> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["when", "exceptWhen", "delay", "backoff", "limit", "jitter"]], &mut self.findings);
        let limit = fields.get("limit").and_then(|at| at.map(&mut self.findings));
        let attempt = limit.as_ref().and_then(|limit| {
            limit.only(&[&["attempt", "duration"]], &mut self.findings);
            let attempt = limit.get("attempt")?.map(&mut self.findings)?;
            attempt.only(&[&["count", "duration"]], &mut self.findings);
            Some(attempt)
        });
        let count = attempt.as_ref().and_then(|attempt| attempt.get("count"));
        Some(Retry {
            when: fields.get("when").and_then(|at| self.expr(&at)),
            except_when: fields.get("exceptWhen").and_then(|at| self.expr(&at)),
            delay: fields.get("delay").and_then(|at| self.delay(&at)),
            backoff: fields.get("backoff").map_or(Backoff::Constant, |at| self.backoff(&at)),
            jitter: fields.get("jitter").and_then(|at| self.jitter(&at)),
            attempts_max: count.and_then(|at| self.count(&at)),
            attempt_timeout: attempt
                .and_then(|attempt| attempt.get("duration"))
                .and_then(|at| self.delay(&at)),
            duration_max: limit.and_then(|limit| limit.get("duration")).and_then(|at| self.delay(&at)),
        })
    }

    fn count(&mut self, at: &At<'n>) -> Option<u32> {
        let count = at.integer(&mut self.findings)?;
        if count < 0 {
            self.findings.invalid(at, "must not be negative");
        }
        Some(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn backoff(&mut self, at: &At<'n>) -> Backoff {
        let Some(fields) = at.map(&mut self.findings) else { return Backoff::Constant };
        fields.only(&[&["constant", "linear", "exponential"]], &mut self.findings);
        if fields.len() != 1 {
            self.findings.invalid(at, "needs exactly one of constant, linear, exponential");
        }
        for (_, at) in fields.all() {
            at.map(&mut self.findings);
        }
        if fields.has("linear") {
            Backoff::Linear
        } else if fields.has("exponential") {
            Backoff::Exponential
        } else {
            Backoff::Constant
        }
    }

    fn jitter(&mut self, at: &At<'n>) -> Option<(Delay, Delay)> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["from", "to"]], &mut self.findings);
        let from = fields.required("from", &mut self.findings).and_then(|at| self.delay(&at));
        let upto = fields.required("to", &mut self.findings).and_then(|at| self.delay(&at));
        if let (Some(Delay::Fixed(from)), Some(Delay::Fixed(upto))) = (&from, &upto)
            && from > upto
        {
            self.findings.invalid(at, "'from' must not be longer than 'to'");
        }
        Some((from?, upto?))
    }

    /// A literal name of a variable.
    pub(super) fn variable(&mut self, at: Option<&At<'n>>, default: &str) -> Arc<String> {
        let name = at.and_then(|at| at.text(&mut self.findings)).unwrap_or(default);
        let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if let Some(at) = at
            && !fits
        {
            self.findings.invalid(at, format!("'{name}' cannot be the name of a variable"));
        }
        Arc::new(name.to_owned())
    }
}

/// The literal text of a template, if it is one.
pub(super) fn literal_text(template: &Template) -> Option<&str> {
    if let Template::Literal(val) = template { Val::as_str(val) } else { None }
}
