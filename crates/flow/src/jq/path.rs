//! Plain paths such as `.a.b`, `$input.x` or `$workflow.input[0].data.id`, which most expressions are.
//!
//! Invariant: a path gives exactly what the jq interpreter would give, errors included, without starting it.
//! Not here: anything that is not a chain of literal steps.

use std::sync::Arc;

use jaq_core::ValT;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::Term;
use jaq_core::path::{Opt, Part};

use super::ops::Error;
use super::{Scope, Val};

/// A chain of literal steps from the input or from a variable.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// Name without `$`; the input when there is none.
    pub(super) variable: Option<String>,
    steps: Vec<Val>,
}

impl Path {
    /// The path a program is, if it is one.
    pub(super) fn of(program: &Term<&str>) -> Option<Self> {
        let (base, steps) = match program {
            Term::Path(base, path) => (base.as_ref(), path.0.iter().map(step).collect::<Option<Vec<_>>>()?),
            other => (other, Vec::new()),
        };
        match base {
            Term::Id => Some(Self { variable: None, steps }),
            Term::Var(name) => Some(Self { variable: Some(name[1..].to_owned()), steps }),
            _ => None,
        }
    }

    pub(super) fn eval(&self, input: Val, scope: &dyn Scope) -> Result<Val, Error> {
        let (start, rest) = match &self.variable {
            None => (input, self.steps.as_slice()),
            Some(name) => self.start(name, scope),
        };
        rest.iter().try_fold(start, ValT::index)
    }

    /// The variable, or its member where that can be had without the rest.
    fn start(&self, name: &str, scope: &dyn Scope) -> (Val, &[Val]) {
        if let Some((first, rest)) = self.steps.split_first()
            && let Some(member) = first.as_str().and_then(|key| scope.member(name, key))
        {
            return (member, rest);
        }
        (scope.var(name), &self.steps)
    }
}

fn step((part, opt): &(Part<Term<&str>>, Opt)) -> Option<Val> {
    match (part, opt) {
        (Part::Index(Term::Str(None, parts)), Opt::Essential) => match parts.as_slice() {
            [StrPart::Str(key)] => Some(Val::Str(Arc::new((*key).to_owned()))),
            _ => None,
        },
        (Part::Index(Term::Num(literal)), Opt::Essential) => literal.parse().ok().map(Val::Int),
        (Part::Index(Term::Neg(inner)), Opt::Essential) => match inner.as_ref() {
            Term::Num(literal) => literal.parse::<i64>().ok().map(|int| Val::Int(-int)),
            _ => None,
        },
        _ => None,
    }
}
