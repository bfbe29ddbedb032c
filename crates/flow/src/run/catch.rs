//! `try`: catching errors, trying again, and handling what is left.
//!
//! Invariant: an error is caught at most once by one `try`; its own handler's errors climb on. When retries are used
//! up, `catch.do` handles the error, and without it the error climbs on. Not here: raising (`kinds`, `machine`).

use super::env::Env;
use super::machine::Machine;
use super::state::{FrameId, Origin, Phase, Purpose, State, Trying};
use crate::Fault;
use crate::fault::same_type;
use crate::jq::{Expr, Val};
use crate::model::{Backoff, ErrorFilter, Kind, Retry, TryTask};
use crate::template::Template;

impl Machine<'_> {
    fn try_parts(&mut self, id: FrameId) -> Option<(&TryTask, &mut Trying)> {
        let def = self.def;
        let frame = self.body.frame_mut(id)?;
        match (&def.model.tasks[frame.task as usize].kind, &mut frame.state) {
            (Kind::Try(kind), State::Try(trying)) => Some((kind, trying)),
            _ => None,
        }
    }

    /// Begins the first or another attempt.
    pub(super) fn attempt(&mut self, id: FrameId) {
        let Some(Kind::Try(kind)) = self.kind_of(id) else { return };
        let Some((_, trying)) = self.try_parts(id) else { return };
        trying.attempt += 1;
        trying.phase = Phase::Trying;
        trying.timer = None;
        let is_retry = trying.attempt > 1;
        if is_retry {
            self.goes_on(id);
        }
        let limit = kind.retry.as_ref().and_then(|retry| retry.attempt_timeout.as_ref()).filter(|_| is_retry);
        if let Some(delay) = limit {
            match self.delay(id, delay) {
                Ok(ms) => {
                    let op = self.timer(ms, Purpose::AttemptTimeout(id));
                    if let Some((_, trying)) = self.try_parts(id) {
                        trying.timer = Some(op);
                    }
                }
                Err(fault) => return self.fail(id, fault),
            }
        }
        let input = self.frame(id).map(|frame| frame.input.clone()).unwrap_or_default();
        self.start_block(id, &kind.block, input);
    }

    /// Whether a fault that climbed to this task ends here.
    pub(super) fn is_caught_by(&self, id: FrameId, fault: &Fault) -> Result<bool, Fault> {
        match (self.kind_of(id), self.frame(id).map(|frame| &frame.state)) {
            (Some(Kind::Try(kind)), Some(State::Try(trying))) if trying.phase == Phase::Trying => {
                self.is_caught(id, kind, fault, &error_value(fault))
            }
            _ => Ok(false),
        }
    }

    /// A `try` caught a fault; nothing is inside it any more.
    pub(super) fn caught(&mut self, id: FrameId, fault: Fault) {
        let Some(Kind::Try(kind)) = self.kind_of(id) else { return };
        let now = self.now;
        let Some((_, trying)) = self.try_parts(id) else { return };
        let timer = trying.timer.take();
        if trying.attempt == 1 {
            trying.since = now;
        }
        if let Some(op) = timer {
            self.abandon(op);
        }
        let error = error_value(&fault);
        self.handle(id, kind, fault, error);
    }

    fn is_caught(&self, id: FrameId, kind: &TryTask, fault: &Fault, error: &Val) -> Result<bool, Fault> {
        let Some(frame) = self.frame(id) else { return Ok(false) };
        let env = Env { extra: Some((&kind.variable, error)), ..self.env(frame) };
        if let Some(filter) = &kind.filter
            && !fits(filter, fault, &frame.input, &env)
        {
            return Ok(false);
        }
        holds(kind.when.as_ref(), kind.except_when.as_ref(), &frame.input, &env)
    }

    fn handle(&mut self, id: FrameId, kind: &TryTask, fault: Fault, error: Val) {
        let pause = match &kind.retry {
            Some(retry) => match self.next_pause(id, kind, retry, &error) {
                Ok(pause) => pause,
                Err(failure) => return self.fail(id, failure),
            },
            None => None,
        };
        let Some((_, trying)) = self.try_parts(id) else { return };
        trying.error = Some(error);
        match (pause, &kind.catch) {
            (Some(0), _) => {
                if self.jump() {
                    self.attempt(id);
                } else {
                    self.go_round(Origin::Task(id), Some(id));
                }
            }
            (Some(pause), _) => {
                trying.phase = Phase::Pausing;
                let op = self.timer(pause, Purpose::Retry(id));
                if let Some((_, trying)) = self.try_parts(id) {
                    trying.timer = Some(op);
                }
                self.waits(id);
            }
            (None, Some(block)) => {
                trying.phase = Phase::Catching;
                let input = self.frame(id).map(|frame| frame.input.clone()).unwrap_or_default();
                self.start_block(id, block, input);
            }
            (None, None) if kind.retry.is_some() => self.fail(id, fault),
            (None, None) => {
                let input = self.frame(id).map(|frame| frame.input.clone()).unwrap_or_default();
                self.done(id, input);
            }
        }
    }

    /// How long to pause before the next attempt; `None` when there is none.
    fn next_pause(
        &self,
        id: FrameId,
        kind: &TryTask,
        retry: &Retry,
        error: &Val,
    ) -> Result<Option<i64>, Fault> {
        let Some(frame) = self.frame(id) else { return Ok(None) };
        let State::Try(trying) = &frame.state else { return Ok(None) };
        // a reusable policy knows the error as `error`, whatever the `catch` calls it
        let env = Env { extra: Some((&kind.variable, error)), ..self.env(frame) };
        let reusable = Env { extra: Some(("error", error)), ..env };
        let env = if kind.variable.as_str() == "error" { env } else { reusable };
        if !holds(retry.when.as_ref(), retry.except_when.as_ref(), &frame.input, &env)? {
            return Ok(None);
        }
        if retry.attempts_max.is_some_and(|most| trying.attempt > most) {
            return Ok(None);
        }
        let base = retry.delay.as_ref().map_or(Ok(0), |delay| self.delay(id, delay))?;
        let attempt = i64::from(trying.attempt);
        let grown = match retry.backoff {
            Backoff::Constant => base,
            Backoff::Linear => base.saturating_mul(attempt),
            Backoff::Exponential => {
                base.saturating_mul(1_i64.checked_shl(trying.attempt - 1).unwrap_or(i64::MAX).max(1))
            }
        };
        let pause = grown.min(PAUSE_MS_MAX).saturating_add(self.jitter(id, retry)?);
        if let Some(limit) = &retry.duration_max {
            let spent = self.now.saturating_sub(trying.since).saturating_add(pause);
            if spent > self.delay(id, limit)? {
                return Ok(None);
            }
        }
        Ok(Some(pause))
    }

    /// Some milliseconds that look random and are the same on every machine and every replay.
    fn jitter(&self, id: FrameId, retry: &Retry) -> Result<i64, Fault> {
        let Some((from, upto)) = &retry.jitter else { return Ok(0) };
        let (from, upto) = (self.delay(id, from)?, self.delay(id, upto)?);
        let span = (upto - from).max(0).unsigned_abs() + 1;
        let mixed = mix(self.body.run_id.as_bytes(), self.body.op_next);
        Ok(from.saturating_add((mixed % span) as i64))
    }
}

/// Longest pause between two attempts before jitter: 30 days.
const PAUSE_MS_MAX: i64 = 30 * 86_400_000;

/// FNV-1a over the bytes and the number, then a finalizer that spreads every bit.
fn mix(bytes: &[u8], number: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes.iter().copied().chain(number.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// A fault as expressions see it.
fn error_value(fault: &Fault) -> Val {
    serde_json::to_value(fault).ok().and_then(|value| Val::from_json(&value).ok()).unwrap_or_default()
}

fn holds(when: Option<&Expr>, except: Option<&Expr>, input: &Val, env: &Env<'_>) -> Result<bool, Fault> {
    let test =
        |expr: &Expr| expr.eval(input.clone(), env).map(|val| val.truthy()).map_err(super::data::expression);
    let wanted = when.map_or(Ok(true), test)?;
    let excepted = except.map_or(Ok(false), test)?;
    Ok(wanted && !excepted)
}

/// Whether every property the filter names is equal; what cannot be evaluated is not.
fn fits(filter: &ErrorFilter, fault: &Fault, input: &Val, env: &Env<'_>) -> bool {
    let text =
        |template: &Option<Template>, actual: Option<&str>, same: fn(&str, &str) -> bool| match template {
            None => true,
            Some(template) => {
                let wanted = template.eval(input, env).unwrap_or_default();
                matches!((wanted.as_str(), actual), (Some(wanted), Some(actual)) if same(wanted, actual))
            }
        };
    let status = filter.status.as_ref().is_none_or(|template| {
        template.eval(input, env).ok().and_then(|val| val.as_number()) == Some(f64::from(fault.status))
    });
    status
        && text(&filter.kind, Some(&fault.r#type), same_type)
        && text(&filter.instance, fault.instance.as_deref(), |wanted, actual| wanted == actual)
        && text(&filter.title, fault.title.as_deref(), |wanted, actual| wanted == actual)
        && text(&filter.detail, fault.detail.as_deref(), |wanted, actual| wanted == actual)
}
