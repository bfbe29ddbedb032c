//! What comes in from sources: checked, read, mapped, and taken in as a signal.
//!
//! Invariant: nothing of a body is looked at before its signature was found good. What a sender sends twice under one
//! id counts once.
//! Not here: managing sources, storing signals.

use crate::app::intake::{Arrival, Origin as Sender};
use crate::app::signals::{self, Manner};
use crate::app::sources;
use crate::app::webhooks::key_problem;
use crate::face::body::{self, Sent};
use crate::face::caller::Origin;
use crate::face::client;
use crate::face::idempotency::Guard;
use crate::face::problem::{Code, Problem};
use crate::face::rates::Subject;
use crate::face::reply::Reply;
use crate::state::App;
use http::{HeaderMap, StatusCode};
use openevent_domain::ambient::Millis;
use openevent_domain::id::SourceId;
use openevent_domain::inbound::{Preset, Rule};
use openevent_domain::rate::Limit;
use openevent_domain::signal::{Attributes, SignalName};
use openevent_engine::Draft;
use openevent_flow::Expression;
use openevent_store::WriteSet;
use openevent_store::sources::{SourceRecord, Status, secret_owner};
use parking_lot::RwLock;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Characters of a sender's id that are kept.
const ID_CHARS_MAX: usize = 255;

/// A source, ready to be asked.
#[derive(Debug)]
struct Source {
    preset: Preset,
    rule: Option<Rule>,
    secrets: Vec<String>,
    name: Expression,
    id: Expression,
    payload: Expression,
    record: SourceRecord,
}

/// Sources that were used lately, made ready once a version.
#[derive(Debug, Default)]
pub struct Sources(RwLock<HashMap<SourceId, Arc<Source>>>);

/// What a body says.
struct Message {
    name: SignalName,
    id: Option<String>,
    payload: Map<String, Value>,
}

/// Takes in what a source sent.
pub async fn take(
    app: &App,
    source: &str,
    sent: Sent,
    origin: &Origin,
    now: Millis,
) -> Result<Reply, Problem> {
    let record = find(app, source).await?.ok_or_else(|| Problem::not_found("Source"))?;
    if record.status == Status::Paused {
        return Err(Problem::new(Code::ServiceUnavailable, "This source is paused; send it again later"));
    }
    let source = ready(app, record)?;
    if let Err(refusal) = source.check(&sent, now) {
        let meter = app.rates.meter(&Subject::Address(client::class(origin.address)));
        app.rates.hit(&meter, Limit::per_hour(app.settings.address_rate_per_hour), now).await;
        count(&source, "refused");
        return Err(refusal);
    }
    let body = read(&sent)?;
    if source.preset == Preset::Slack && body["type"] == "url_verification" {
        return Ok(Reply::whole(StatusCode::OK, &json!({"challenge": body["challenge"]})));
    }
    let Some(message) = source.message(&body, &sent.headers)? else {
        count(&source, "ignored");
        return Ok(Reply::whole(StatusCode::ACCEPTED, &json!({"success": true, "data": {"ignored": true}})));
    };
    let reply = accept(app, &source.record, message, now).await?;
    count(&source, if reply.is_replayed { "repeated" } else { "accepted" });
    Ok(reply)
}

/// The source of an id; or of a name, of those that belong to the operator's own project. A name can be guessed, so
/// that whoever does not sign has to be called by its id.
async fn find(app: &App, source: &str) -> Result<Option<SourceRecord>, Problem> {
    if let Some(id) = SourceId::parse(source) {
        return Ok(app.store.any_source(&id).await?);
    }
    let named = app.store.source_named(&app.keyring.operator().tenant, source).await?;
    Ok(named.filter(|source| sources::preset(source).is_signed()))
}

fn ready(app: &App, record: SourceRecord) -> Result<Arc<Source>, Problem> {
    let known = app.sources.0.read().get(&record.id).cloned();
    if let Some(known) = known.filter(|known| known.record.version == record.version) {
        return Ok(known);
    }
    let ready = Arc::new(Source::of(app, record)?);
    app.sources.0.write().insert(ready.record.id.clone(), Arc::clone(&ready));
    Ok(ready)
}

async fn accept(app: &App, source: &SourceRecord, message: Message, now: Millis) -> Result<Reply, Problem> {
    let path = format!("/hooks/{}", source.name);
    let mut attributes = Map::from_iter([("source".to_owned(), Value::from(path))]);
    attributes.extend(message.id.iter().map(|id| ("id".to_owned(), Value::from(id.as_str()))));
    let draft = Draft {
        tenant: source.tenant.clone(),
        name: message.name,
        payload: message.payload,
        attributes: Attributes(attributes),
        replay_of: None,
    };
    let origin = message.id.map(|id| Sender { source: format!("/hooks/{}", source.id), id });
    let arrival = Arrival { draft, origin };
    signals::accept(app, WriteSet::new(), &source.tenant, arrival, Guard::none(), Manner::Brief, now).await
}

fn count(source: &Source, outcome: &'static str) {
    let labels = [("source", source.record.id.as_str().to_owned()), ("outcome", outcome.to_owned())];
    metrics::counter!("openevent_hooks_received_total", &labels).increment(1);
}

/// A body as a value: JSON, or a form, whose single field `payload` may hold JSON.
fn read(sent: &Sent) -> Result<Value, Problem> {
    if sent.kind != "application/x-www-form-urlencoded" {
        return body::json(&sent.bytes);
    }
    let mut fields: Map<String, Value> =
        url::form_urlencoded::parse(&sent.bytes).map(|(name, value)| (name.into(), value.into())).collect();
    match fields.remove("payload") {
        Some(Value::String(text)) => body::json(text.as_bytes()),
        _ => Ok(Value::Object(fields)),
    }
}

/// The headers as expressions see them.
fn header_values(headers: &HeaderMap) -> Value {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(text(value))))
        .collect::<Map<_, _>>()
        .into()
}

impl Source {
    fn of(app: &App, record: SourceRecord) -> Result<Self, Problem> {
        let (preset, rule) = (sources::preset(&record), sources::rule(&record));
        let secrets = match &record.secrets {
            Some(sealed) => {
                let owner = secret_owner(&record.tenant, &record.id);
                let list = app.webhook_keys.open(&owner, sealed).map_err(key_problem)?;
                serde_json::from_str(&list).map_err(Problem::internal)?
            }
            None => Vec::new(),
        };
        let own = preset.mapping();
        let expression = |name: &str, own: &str| {
            let text = sources::expression(&record, name).unwrap_or(own);
            Expression::compile(text, &sources::VARIABLES).map_err(|bad| Problem::internal(Broken(bad)))
        };
        let (name, id) = (expression("eventName", own.name)?, expression("eventId", own.id)?);
        let payload = expression("payload", own.payload)?;
        Ok(Self { preset, rule, secrets, name, id, payload, record })
    }

    fn check(&self, sent: &Sent, now: Millis) -> Result<(), Problem> {
        let header = |name: &str| sent.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(rule) = &self.rule else { return Ok(()) };
        rule.check(&self.secrets, &header, &sent.bytes, now)
            .map_err(|refusal| Problem::new(Code::Unauthorized, capital(&refusal.to_string())))
    }

    /// What the expressions make of a body. `None`: it is of no interest.
    fn message(&self, body: &Value, headers: &HeaderMap) -> Result<Option<Message>, Problem> {
        let (headers, source) = (header_values(headers), Value::from(self.record.name.as_str()));
        let known = [("headers", &headers), ("source", &source)];
        let ask = |field: &'static str, expression: &Expression| {
            expression.eval(body, &known).map_err(|failure| {
                Problem::field(
                    field,
                    format!("the source's expression cannot be applied to this body: {failure}"),
                )
            })
        };
        let name = match ask("eventName", &self.name)? {
            Value::Null => return Ok(None),
            Value::String(name) => SignalName::parse(&name)
                .map_err(|bad| Problem::field("eventName", format!("`{name}` {bad}")))?,
            other => return Err(Problem::field("eventName", format!("{other} is no name"))),
        };
        let id = match ask("eventId", &self.id)? {
            Value::Null => None,
            Value::String(id) => Some(id),
            other => Some(other.to_string()),
        };
        let id = id.map(|id| id.chars().take(ID_CHARS_MAX).collect());
        let payload = match ask("payload", &self.payload)? {
            Value::Object(payload) => payload,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        Ok(Some(Message { name, id, payload }))
    }
}

/// An expression that was stored does not compile any more.
#[derive(Debug, thiserror::Error)]
#[error("an expression of a source does not compile: {0}")]
struct Broken(String);

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
