//! How many runs of a workflow may go on at a time: `document.metadata.openevent`.
//!
//! Invariant: keys are computed from the run's raw input alone, so they are the same after every restart.
//! Not here: who waits, who goes (the driver); `cancelOn`, which the run itself listens for.

use serde_json::Value;

use crate::event::Bound;
use crate::jq::{Expr, Val};
use crate::{Fault, FaultKind};

/// What a definition says about its runs among each other.
#[derive(Debug, Default)]
pub struct Controls {
    /// Runs with the same key at one time.
    pub concurrency: Option<Concurrency>,
    /// Of runs with the same key that come in quick succession, only the last begins.
    pub debounce: Option<Debounce>,
    /// Runs with the same key that may begin in a while; more have to wait.
    pub throttle: Option<Throttle>,
    /// Of runs with the same key in a while, only the first begins.
    pub idempotency: Option<Idempotency>,
    pub(crate) keys: KeyExpressions,
}

/// Where the keys come from; evaluated on a run's raw input.
#[derive(Debug, Default)]
pub(crate) struct KeyExpressions {
    pub(crate) concurrency: Option<Expr>,
    pub(crate) debounce: Option<Expr>,
    pub(crate) throttle: Option<Expr>,
    pub(crate) idempotency: Option<Expr>,
}

/// `concurrency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Runs at one time.
    pub limit: u32,
    /// What happens to one more.
    pub over: Over,
}

/// What happens to a run that is one too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It ends as cancelled without having begun.
    Reject,
    /// The one that has gone on longest is cancelled for it.
    CancelOldest,
}

/// `debounce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debounce {
    /// How long it must be quiet, milliseconds.
    pub period_ms: i64,
}

/// `throttle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Runs that may begin.
    pub limit: u32,
    /// In how many milliseconds.
    pub period_ms: i64,
}

/// `idempotency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// For how many milliseconds a key counts.
    pub period_ms: i64,
}

/// The keys of one run; an absent one is the same for all runs of the workflow, except for idempotency, where it
/// means that the run is not compared with any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Of `concurrency`.
    pub concurrency: Option<String>,
    /// Of `debounce`.
    pub debounce: Option<String>,
    /// Of `throttle`.
    pub throttle: Option<String>,
    /// Of `idempotency`.
    pub idempotency: Option<String>,
}

impl Controls {
    /// The keys of a run with this raw input. Text is taken as it is, null stands for no key, anything else is
    /// written as JSON.
    pub fn keys(&self, input: &Value) -> Result<Keys, Fault> {
        let expressions = &self.keys;
        let all = [
            &expressions.concurrency,
            &expressions.debounce,
            &expressions.throttle,
            &expressions.idempotency,
        ];
        if all.iter().all(|expr| expr.is_none()) {
            return Ok(Keys::default());
        }
        let input = Val::from_json(input)
            .map_err(|cut| Fault::new(FaultKind::Expression, cut.reason()).at("/document"))?;
        let key = |expr: &Option<Expr>| {
            let Some(expr) = expr else { return Ok(None) };
            let val = expr.eval(input.clone(), &Bound::default());
            let val = val.map_err(|failure| Fault::new(FaultKind::Expression, failure.0).at("/document"))?;
            Ok(match val {
                Val::Null => None,
                Val::Str(text) => Some(text.as_str().to_owned()),
                other => Some(other.to_string()),
            })
        };
        let [concurrency, debounce, throttle, idempotency] = all.map(key);
        Ok(Keys {
            concurrency: concurrency?,
            debounce: debounce?,
            throttle: throttle?,
            idempotency: idempotency?,
        })
    }
}
