//! What can be said of a webhook.
//!
//! Invariant: every mistake of a body is in one refusal; what was read may be stored as it is.
//! Not here: when it may be changed.

use super::is_built_in;
use crate::face::problem::Problem;
use crate::state::App;
use openevent_domain::planning::form::{Form, Presence, text, texts, whole, word};
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::{Pattern, TargetUrl};
use openevent_flow::Expression;
use openevent_store::webhooks::{Status, WebhookRecord};
use serde_json::{Map, Value};

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;
/// Names and patterns of one webhook.
const EVENTS_MAX: usize = 100;
/// Characters of one of them.
const EVENT_CHARS_MAX: usize = 257;
/// Characters of an expression.
const EXPRESSION_CHARS_MAX: usize = 4_096;
/// Attempts a second that a limit may allow.
const RATE_MAX: i64 = 1_000;
/// Attempts at once that a limit may allow.
const AT_ONCE_MAX: i64 = 64;
/// Characters of a URL that are read at all.
const URL_CHARS_MAX: usize = 4_096;

/// What somebody filled in.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) events: Vec<String>,
    pub(super) options: Map<String, Value>,
    /// Only when it was mentioned.
    pub(super) status: Option<Status>,
}

impl Filled {
    /// What a webhook has now.
    pub(super) fn of(webhook: &WebhookRecord) -> Self {
        let WebhookRecord { name, url, events, options, .. } = webhook.clone();
        Self { name, url, events, options, status: None }
    }

    /// Reads a body.
    pub(super) async fn read(
        &mut self,
        app: &App,
        tenant: &Tenant,
        form: &mut Form,
        presence: Presence,
    ) -> Result<(), Problem> {
        form.require("name", presence, &mut self.name, text(NAME_CHARS_MAX));
        let development = app.settings.development;
        form.require("url", presence, &mut self.url, |value| {
            let Some(given) = text(URL_CHARS_MAX)(value)? else { return Ok(None) };
            let target = TargetUrl::parse(&given, development).map_err(|bad| bad.to_string())?;
            Ok(Some(target.as_str().to_owned()))
        });
        let mentions_events = form.has("events");
        if form.require("events", presence, &mut self.events, read_events) && mentions_events {
            self.check_known(app, tenant, form).await?;
        }
        self.read_options(form);
        let mut status = None;
        form.change("status", &mut status, word([Status::Active, Status::Paused], Status::as_str));
        self.status = status;
        Ok(())
    }

    /// What a webhook may have beside: a filter, an order, limits. `null` takes each away.
    fn read_options(&mut self, form: &mut Form) {
        for name in ["filter", "fifoKey"] {
            let mut source = self.options.get(name).and_then(Value::as_str).map(str::to_owned);
            form.change(name, &mut source, expression);
            self.set_option(name, source.map(Value::from));
        }
        for (name, max) in [("ratePerSecond", RATE_MAX), ("maxConcurrency", AT_ONCE_MAX)] {
            let mut number = self.options.get(name).and_then(Value::as_i64);
            form.change(name, &mut number, whole(1, max));
            self.set_option(name, number.map(Value::from));
        }
    }

    fn set_option(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => drop(self.options.insert(name.to_owned(), value)),
            None => drop(self.options.remove(name)),
        }
    }

    /// Refuses names that nobody sends and nobody catalogued.
    async fn check_known(&self, app: &App, tenant: &Tenant, form: &mut Form) -> Result<(), Problem> {
        for name in &self.events {
            let Ok(Pattern::Exact(exact)) = Pattern::parse(name) else { continue };
            let is_known =
                is_built_in(exact.as_str()) || app.store.event_type(tenant, exact.as_str()).await?.is_some();
            if !is_known {
                form.refuse(
                    "events",
                    format!(
                        "`{name}` is neither built in nor catalogued; put it at /api/v1/event-types/{name}, \
                         or subscribe to `prefix.*` or `*`"
                    ),
                );
            }
        }
        Ok(())
    }
}

/// A jq expression that compiles.
fn expression(value: Value) -> Result<Option<String>, String> {
    let Some(source) = text(EXPRESSION_CHARS_MAX)(value)? else { return Ok(None) };
    Expression::compile(&source, &[]).map_err(|bad| format!("is no jq expression: {bad}"))?;
    Ok(Some(source))
}

fn read_events(value: Value) -> Result<Option<Vec<String>>, String> {
    let events = texts(EVENTS_MAX, EVENT_CHARS_MAX)(value)?;
    for (index, event) in events.iter().enumerate() {
        Pattern::parse(event).map_err(|bad| format!("item {index} (`{event}`): {bad}"))?;
    }
    if events.is_empty() {
        return Err("must name at least one event, `prefix.*` or `*`".to_owned());
    }
    Ok(Some(events))
}
