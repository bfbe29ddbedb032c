//! `document.metadata.openevent`: how many runs may go on at a time, what cancels one, where clocks hang.
//!
//! Invariant: unlike other metadata it is ours, so what is not known is refused. Not here: applying it.

use std::sync::Arc;

use super::Reader;
use super::walk::{At, Fields};
use crate::controls::{Concurrency, Controls, Debounce, Idempotency, KeyExpressions, Over, Throttle};
use crate::jq::Expr;
use crate::model::Delay;
use crate::schedule;

/// How long an idempotency key counts, when nothing else is said: a day.
const IDEMPOTENCY_MS: i64 = 86_400_000;

/// What the conditions of `cancelOn` may use: they are looked at while the run goes on, outside any task.
const CANCEL_ARGUMENTS: [&str; 2] = ["workflow", "runtime"];

impl<'n> Reader<'n> {
    pub(super) fn metadata(&mut self, at: &At<'n>) {
        let Some(fields) = at.map(&mut self.findings) else { return };
        let Some(fields) = fields.get("openevent").and_then(|at| at.map(&mut self.findings)) else { return };
        let names = ["concurrency", "debounce", "throttle", "idempotency", "cancelOn", "timezone"];
        fields.only(&[&names], &mut self.findings);
        if let Some(at) = fields.get("timezone")
            && let Some(name) = at.text(&mut self.findings)
        {
            match schedule::zone(name) {
                Ok(zone) => self.zone = zone,
                Err(reason) => self.findings.invalid(&at, reason),
            }
        }
        if let Some(at) = fields.get("cancelOn") {
            for at in at.list(&mut self.findings).unwrap_or_default() {
                let filter = self.filter(&at, &CANCEL_ARGUMENTS).map(Arc::new);
                self.cancel_on.extend(filter);
            }
        }
        if names[..4].iter().any(|name| fields.has(name)) {
            self.controls = Some(self.limits(&fields));
        }
    }

    fn limits(&mut self, fields: &Fields<'n>) -> Controls {
        let mut keys = KeyExpressions::default();
        let concurrency = self.part(fields, "concurrency", &["limit", "key", "strategy"]).and_then(|part| {
            keys.concurrency = self.key(&part);
            let limit = self.limit(&part);
            let words = ["queue", "reject", "cancel-oldest"];
            let over = match part.get("strategy").and_then(|at| at.one_of(&words, &mut self.findings)) {
                Some("reject") => Over::Reject,
                Some("cancel-oldest") => Over::CancelOldest,
                _ => Over::Queue,
            };
            Some(Concurrency { limit: limit?, over })
        });
        let debounce = self.part(fields, "debounce", &["period", "key"]).and_then(|part| {
            keys.debounce = self.key(&part);
            Some(Debounce { period_ms: self.period(&part)? })
        });
        let throttle = self.part(fields, "throttle", &["limit", "period", "key"]).and_then(|part| {
            keys.throttle = self.key(&part);
            let (limit, period) = (self.limit(&part), self.period(&part));
            Some(Throttle { limit: limit?, period_ms: period? })
        });
        let idempotency = self.part(fields, "idempotency", &["key", "period"]).and_then(|part| {
            part.required("key", &mut self.findings);
            keys.idempotency = self.key(&part);
            let given = part.has("period").then(|| self.period(&part));
            Some(Idempotency { period_ms: given.unwrap_or(Some(IDEMPOTENCY_MS))? })
        });
        Controls { concurrency, debounce, throttle, idempotency, keys }
    }

    fn part(&mut self, fields: &Fields<'n>, name: &str, names: &[&str]) -> Option<Fields<'n>> {
        let part = fields.get(name)?.map(&mut self.findings)?;
        part.only(&[names], &mut self.findings);
        Some(part)
    }

    fn key(&mut self, part: &Fields<'n>) -> Option<Expr> {
        let at = part.get("key")?;
        self.condition(&at, &[])
    }

    fn limit(&mut self, part: &Fields<'n>) -> Option<u32> {
        let at = part.required("limit", &mut self.findings)?;
        let limit = at.integer(&mut self.findings)?;
        if limit < 1 {
            self.findings.invalid(&at, "must be at least 1");
        }
        Some(u32::try_from(limit).unwrap_or(u32::MAX))
    }

    fn period(&mut self, part: &Fields<'n>) -> Option<i64> {
        let at = part.required("period", &mut self.findings)?;
        self.fixed(&at)
    }

    /// A duration known before anything runs, and longer than none.
    pub(super) fn fixed(&mut self, at: &At<'n>) -> Option<i64> {
        match self.delay(at)? {
            Delay::Fixed(0) => {
                self.findings.invalid(at, "must be longer than nothing");
                None
            }
            Delay::Fixed(ms) => Some(ms),
            Delay::Expr(_) => {
                self.findings.invalid(at, "must be a fixed duration: nothing can be computed before a run");
                None
            }
        }
    }
}
