//! Event filters: which CloudEvents start a run or wake one that listens.
//!
//! Invariant: matching an event costs no I/O and cannot fail; what cannot be evaluated does not match.
//! Not here: waiting for events (`run`), starting runs (`trigger`).

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use crate::jq::{Expr, Scope, Val};

/// One condition on events, with the values its expressions saw when waiting began.
#[derive(Clone, Debug)]
pub struct EventFilter {
    pub(crate) spec: Arc<FilterSpec>,
    pub(crate) bound: Bound,
}

/// Values of the variables a filter uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bound(pub(crate) Vec<(String, Val)>);

impl Scope for Bound {
    fn has_secret(&self, name: &str) -> bool {
        let secrets = self.0.iter().find(|(bound, _)| bound == "secrets");
        secrets.is_some_and(|(_, secrets)| secrets.get(name).is_some())
    }

    fn var(&self, name: &str) -> Val {
        self.0.iter().find(|(bound, _)| bound == name).map(|(_, val)| val.clone()).unwrap_or_default()
    }
}

/// The answer of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The event is wanted.
    Yes,
    /// It is not, for this reason.
    No(String),
}

impl PartialEq for EventFilter {
    fn eq(&self, other: &Self) -> bool {
        self.bound == other.bound
            && (Arc::ptr_eq(&self.spec, &other.spec) || self.spec.source == other.spec.source)
    }
}

impl EventFilter {
    /// The literal `with.type`, for an index; `None` when events of any type may match.
    pub fn event_type(&self) -> Option<&str> {
        self.spec.event_type.as_deref()
    }

    /// Whether the filter wants a CloudEvent, given as a JSON object.
    pub fn matches(&self, event: &Value) -> Match {
        // most filters compare literal text only; for those the event need not be converted
        for (name, wanted) in
            self.spec.with.iter().filter_map(|(name, pattern)| Some((name, pattern.literal_text()?)))
        {
            if event.get(name).and_then(Value::as_str) != Some(wanted) {
                return Match::No(format!("{name} is not {}", Value::from(wanted)));
            }
        }
        let is_literal = |(_, pattern): &(String, Pattern)| pattern.literal_text().is_some();
        if self.spec.correlate.is_empty() && self.spec.with.iter().all(is_literal) {
            return Match::Yes;
        }
        match Val::from_json(event) {
            Ok(event) => self.matches_val(&event),
            Err(cut) => Match::No(cut.reason().to_owned()),
        }
    }

    pub(crate) fn matches_val(&self, event: &Val) -> Match {
        for (name, wanted) in &self.spec.with {
            let attribute = event.get(name).cloned().unwrap_or_default();
            if let Err(reason) = wanted.test(&attribute, &self.bound) {
                return Match::No(format!("{name} {reason}"));
            }
        }
        for correlation in &self.spec.correlate {
            if let Err(reason) = correlation.test(event, &self.bound) {
                return Match::No(format!("correlation '{}' {reason}", correlation.name));
            }
        }
        Match::Yes
    }

    /// Values of the correlations that are learned from the first event.
    pub(crate) fn learned(&self, event: &Val) -> Vec<(String, Val)> {
        let free = self.spec.correlate.iter().filter(|correlation| correlation.expect.is_none());
        free.filter_map(|correlation| {
            let val = correlation.from.eval(event.clone(), &self.bound).ok()?;
            Some((correlation.name.clone(), val))
        })
        .collect()
    }
}

/// What a definition says about a filter.
#[derive(Debug)]
pub(crate) struct FilterSpec {
    /// The filter as written, by which two readings of one definition are compared.
    pub(crate) source: Value,
    pub(crate) event_type: Option<String>,
    pub(crate) with: Vec<(String, Pattern)>,
    pub(crate) correlate: Vec<Correlation>,
}

impl FilterSpec {
    /// Names of the variables its expressions use.
    pub(crate) fn vars(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.with.iter().for_each(|(_, pattern)| pattern.vars(&mut names));
        for correlation in &self.correlate {
            names.extend(correlation.from.vars().iter().cloned());
            if let Some(Pattern::Expr(expr)) = &correlation.expect {
                names.extend(expr.vars().iter().cloned());
            }
        }
        names
    }
}

/// What an attribute must be.
#[derive(Debug)]
pub(crate) enum Pattern {
    Literal(Val),
    /// Text that may also be meant as a regular expression for the whole attribute.
    Regex(Val, Regex),
    /// A condition on the attribute, or the value it must have.
    Expr(Expr),
    Object(Vec<(String, Self)>),
    List(Vec<Self>),
}

impl Pattern {
    /// Literal text; with signs of a regular expression in it, it is tried as one too.
    pub(crate) fn text(text: &str) -> Self {
        let literal = Val::str(text);
        if !text.contains(['*', '+', '?', '^', '$', '|', '(', '[', '\\']) {
            return Self::Literal(literal);
        }
        let anchored = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build();
        anchored.map_or(Self::Literal(literal.clone()), |regex| Self::Regex(literal, regex))
    }

    fn literal_text(&self) -> Option<&str> {
        if let Self::Literal(val) = self { val.as_str() } else { None }
    }

    fn test(&self, attribute: &Val, scope: &dyn Scope) -> Result<(), String> {
        let is =
            |same: bool, wanted: &Val| same.then_some(()).ok_or_else(|| format!("is not {}", brief(wanted)));
        match self {
            Self::Literal(wanted) => is(attribute == wanted, wanted),
            Self::Regex(wanted, regex) => {
                is(attribute == wanted || attribute.as_str().is_some_and(|text| regex.is_match(text)), wanted)
            }
            Self::Expr(expr) => match expr.eval(attribute.clone(), scope) {
                Ok(Val::Bool(true)) => Ok(()),
                Ok(Val::Bool(false)) => Err("does not meet the condition".to_owned()),
                Ok(wanted) => is(*attribute == wanted, &wanted),
                Err(failure) => Err(format!("could not be evaluated: {}", failure.0)),
            },
            Self::Object(members) => members.iter().try_for_each(|(name, pattern)| {
                let member = attribute.get(name).cloned().unwrap_or_default();
                pattern.test(&member, scope).map_err(|reason| format!(".{name} {reason}"))
            }),
            Self::List(items) => match attribute {
                Val::Arr(array) if array.items().len() == items.len() => {
                    items.iter().zip(array.items()).try_for_each(|(pattern, item)| pattern.test(item, scope))
                }
                _ => Err("is another list".to_owned()),
            },
        }
    }

    fn vars(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::Literal(_) | Self::Regex(..) => {}
            Self::Expr(expr) => names.extend(expr.vars().iter().cloned()),
            Self::Object(members) => members.iter().for_each(|(_, pattern)| pattern.vars(names)),
            Self::List(items) => items.iter().for_each(|pattern| pattern.vars(names)),
        }
    }
}

fn brief(val: &Val) -> String {
    const CHARS_MAX: usize = 80;
    let text = val.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A link between events by a value each of them carries.
#[derive(Debug)]
pub(crate) struct Correlation {
    pub(crate) name: String,
    pub(crate) from: Expr,
    /// What the value must be; without it, what it was in the first event.
    pub(crate) expect: Option<Pattern>,
}

impl Correlation {
    fn test(&self, event: &Val, bound: &Bound) -> Result<(), String> {
        let found =
            self.from.eval(event.clone(), bound).map_err(|failure| format!("failed: {}", failure.0))?;
        if matches!(found, Val::Null) {
            return Err("is not in the event".to_owned());
        }
        match &self.expect {
            Some(expected) => expected.test(&found, bound),
            None => Ok(()),
        }
    }
}

/// How many and which events are waited for.
#[derive(Debug)]
pub(crate) struct Strategy {
    pub(crate) mode: Mode,
    pub(crate) filters: Vec<Arc<FilterSpec>>,
    pub(crate) until: Option<Until>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    One,
    Any,
    All,
}

/// When `any` stops listening.
#[derive(Debug)]
pub(crate) enum Until {
    /// When the events consumed so far meet a condition.
    Condition(Expr),
    /// When these events came.
    Events(Box<Strategy>),
}
