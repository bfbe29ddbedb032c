//! Taking signals in, showing them, sending them again.
//!
//! Invariant: validated before it is accepted, and on disk before it is acknowledged, with every run it starts
//! and the answer an `Idempotency-Key` may ask for again.
//! Not here: batches (see `batch`), reading bodies (see `intake`), matching (the engine's spine), the live stream
//! (see `stream`).

mod batch;

pub use batch::{Taken, accept_batch, take_in};

use crate::app::audit::{Act, note};
use crate::app::intake::{Arrival, Origin};
use crate::face::caller::Caller;
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::problem::{FieldIssue, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use http::StatusCode;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::signal::SignalName;
use openevent_domain::tenant::Tenant;
use openevent_engine::{Admitted, Draft, Refusal};
use openevent_store::idempotency::{Remembered, TABLE};
use openevent_store::runs::{self, RunRecord};
use openevent_store::signals::{Filter, Order, Place, SignalRecord};
use openevent_store::{Error, NewRun, Path, WriteSet};
use serde::Serialize;
use serde_json::{Value, json};

/// What every acknowledgement says.
pub const QUEUED: &str = "Event received and queued for processing";
/// Runs a story shows.
const STORY_RUNS_MAX: i64 = 1_000;

/// How much an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Also what the signal started.
    Full,
    /// Only that it is on disk: for senders who have no business with the project's workflows.
    Brief,
}

/// Takes one signal in, in one commit with `set`.
pub async fn accept(
    app: &App,
    mut set: WriteSet,
    tenant: &Tenant,
    arrival: Arrival,
    guard: Guard,
    manner: Manner,
    now: Millis,
) -> Result<Reply, Problem> {
    let Arrival { draft, origin } = arrival;
    if let Some(origin) = &origin
        && let Some(event_id) = known(app, tenant, origin, now).await?
    {
        return acknowledge_again(app, tenant, &event_id, manner).await;
    }
    let warning = warning(&draft.name);
    let admitted = admit(app, draft, now).map_err(Problem::signal)?;
    admitted.write(&mut set);
    if let Some(origin) = &origin {
        remember(&mut set, tenant, origin, &admitted, now);
    }
    let reply = acknowledge(&admitted, warning, manner);
    guard.remember(&mut set, &reply);
    match app.store.submit(set).await {
        Ok(()) => {
            count(&admitted);
            Ok(reply)
        }
        Err(error) => match (&origin, is_repeated(&error)) {
            (Some(origin), true) => match known(app, tenant, origin, now).await? {
                Some(event_id) => acknowledge_again(app, tenant, &event_id, manner).await,
                None => guard.settle(&app.store, error).await,
            },
            _ => guard.settle(&app.store, error).await,
        },
    }
}

/// Checks the catalogue's schema and the listeners' schemas, and matches.
fn admit(app: &App, draft: Draft, now: Millis) -> Result<Admitted, Vec<FieldIssue>> {
    if let Some(schema) = app.schemas.schema(&draft.tenant, draft.name.as_str()) {
        let payload = Value::Object(draft.payload.clone());
        schema.check(&payload).map_err(|errors| {
            let field = |path: &str| format!("payload{}", path.replace('/', "."));
            errors
                .into_iter()
                .map(|error| FieldIssue::new(field(&error.path), error.issue))
                .collect::<Vec<_>>()
        })?;
    }
    let told =
        |Refusal(issues)| issues.into_iter().map(|issue| FieldIssue::new(issue.field, issue.issue)).collect();
    app.engine.spine().admit(draft, now).map_err(told)
}

fn warning(name: &SignalName) -> Option<Value> {
    name.is_generic().then(|| {
        let words =
            format!("`{}` is a generic name; a name such as order.created says what happened", name.as_str());
        json!({"warnings": [words]})
    })
}

/// A run a signal started.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    workflow: String,
    run_id: RunId,
}

/// A workflow that starts when other events have come as well.
#[derive(Serialize)]
struct KeptFor {
    workflow: String,
}

/// The acknowledgement, as the Events API writes it.
#[derive(Serialize)]
struct Acknowledgement<'a> {
    success: bool,
    message: &'a str,
    event_id: &'a str,
    data: AcknowledgementData<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Value>,
}

#[derive(Serialize)]
struct AcknowledgementData<'a> {
    event_id: &'a str,
    id: &'a str,
    message: &'a str,
    /// Left out of brief ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<Vec<Started>>,
    /// Workflows that keep the event until others have come.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<KeptFor>,
    /// A sender's event that was received before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

fn started(admitted: &Admitted) -> Vec<Started> {
    let path = |run: &NewRun| format!("{}/{}", run.namespace, run.name);
    admitted.runs.iter().map(|run| Started { workflow: path(run), run_id: run.id.clone() }).collect()
}

fn kept(admitted: &Admitted) -> Vec<KeptFor> {
    let path = |path: &Path| format!("{}/{}", path.namespace, path.name);
    admitted.kept.iter().map(|kept| KeptFor { workflow: path(&kept.path) }).collect()
}

/// The runs an event that was received before started then.
async fn started_before(app: &App, tenant: &Tenant, event_id: &str) -> Result<Vec<Started>, Error> {
    let runs = runs_of(app, tenant, SignalId::trusted(event_id.to_owned())).await?;
    let path = |run: &RunRecord| format!("{}/{}", run.namespace, run.name);
    Ok(runs.into_iter().map(|run| Started { workflow: path(&run), run_id: run.id }).collect())
}

/// The runs a signal started, in starting order.
async fn runs_of(app: &App, tenant: &Tenant, id: SignalId) -> Result<Vec<RunRecord>, Error> {
    let filter = runs::Filter { event_id: Some(id), ..runs::Filter::default() };
    let mut started = app.store.runs(tenant, &filter, &runs::Place::Offset(0), STORY_RUNS_MAX).await?;
    started.reverse();
    Ok(started)
}

fn acknowledge(admitted: &Admitted, meta: Option<Value>, manner: Manner) -> Reply {
    let is_full = manner == Manner::Full;
    let event_id = admitted.signal.id.as_str();
    let data = AcknowledgementData {
        event_id,
        id: event_id,
        message: QUEUED,
        runs: is_full.then(|| started(admitted)),
        kept: if is_full { kept(admitted) } else { Vec::new() },
        duplicate: false,
    };
    acknowledged(Acknowledgement { success: true, message: QUEUED, event_id, data, meta })
}

async fn acknowledge_again(
    app: &App,
    tenant: &Tenant,
    event_id: &str,
    manner: Manner,
) -> Result<Reply, Problem> {
    let runs = match manner {
        Manner::Full => Some(started_before(app, tenant, event_id).await?),
        Manner::Brief => None,
    };
    let data = AcknowledgementData {
        event_id,
        id: event_id,
        message: QUEUED,
        runs,
        kept: Vec::new(),
        duplicate: true,
    };
    let again = Acknowledgement { success: true, message: QUEUED, event_id, data, meta: None };
    Ok(Reply { is_replayed: true, ..acknowledged(again) })
}

fn acknowledged(acknowledgement: Acknowledgement<'_>) -> Reply {
    let location = Some(path_of(acknowledgement.event_id));
    Reply { location, ..Reply::whole(StatusCode::ACCEPTED, &acknowledgement) }
}

fn path_of(event_id: &str) -> String {
    format!("/api/v1/signals/{event_id}")
}

fn count(admitted: &Admitted) {
    let matched = if admitted.signal.matched() { "yes" } else { "no" };
    metrics::counter!("openevent_signals_received_total", "matched" => matched).increment(1);
}

/// The signal that a sender's event became when it was first sent.
async fn known(app: &App, tenant: &Tenant, origin: &Origin, now: Millis) -> Result<Option<String>, Error> {
    Ok(app.store.recall(tenant, &origin.key(), now).await?.map(|found| found.answer))
}

fn remember(set: &mut WriteSet, tenant: &Tenant, origin: &Origin, admitted: &Admitted, now: Millis) {
    let answer = admitted.signal.id.as_str().to_owned();
    set.remember(tenant, &origin.key(), &Remembered { fingerprint: String::new(), answer, created_at: now });
}

fn is_repeated(error: &Error) -> bool {
    matches!(error, Error::Exists { table } if table == TABLE)
}

/// Sends a stored signal again, as a new one that names the first.
pub async fn replay(
    app: &App,
    caller: &Caller,
    id: &str,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let record = find(app, tenant, id).await?;
    let name = SignalName::parse(&record.name).map_err(Problem::internal)?;
    let Value::Object(payload) = record.payload else {
        return Err(Problem::bad_request("The signal has no payload"));
    };
    let draft = Draft {
        tenant: tenant.clone(),
        name,
        payload,
        attributes: record.attributes,
        replay_of: Some(record.id),
    };
    let mut set = WriteSet::new();
    note(app, &mut set, caller, Act::done("signal.replay", id), now);
    accept(app, set, tenant, Arrival { draft, origin: None }, guard, Manner::Full, now).await
}

/// A page of signals.
pub async fn list(app: &App, tenant: &Tenant, list: &List) -> Result<Reply, Problem> {
    let params = &list.params;
    let filter = Filter {
        name: params.get("name").map(str::to_owned),
        from: params.time("from")?,
        to: params.time("to")?,
        matched: params.flag("matched")?,
    };
    let newest = [("-receivedAt", Order::NewestFirst), ("receivedAt", Order::OldestFirst)];
    let order = params.one_of("sort", &newest)?.unwrap_or(Order::NewestFirst);
    let place = match list.after::<(Millis, i64)>()? {
        Some((at, seq)) => Place::After(at, seq),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.signals(tenant, &filter, order, place, list.limit + 1).await?;
    let total = app.store.signals_count(tenant, &filter).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&(row.received_at, row.seq)));
    let shown: Vec<Value> = rows.iter().map(summary).collect();
    Ok(list.reply(&shown, &meta))
}

/// The whole story of one signal.
pub async fn story(app: &App, tenant: &Tenant, id: &str) -> Result<Reply, Problem> {
    let record = find(app, tenant, id).await?;
    let started = runs_of(app, tenant, record.id.clone()).await?;
    let mut story = summary(&record);
    story["triggers"] = json!(record.triggers);
    story["runs"] = started.iter().map(super::runs::in_story).collect();
    story["deliveries"] = super::webhooks::deliveries::of_signal(app, tenant, &record.id).await?.into();
    Ok(Reply::ok(&story).tagged())
}

async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<SignalRecord, Problem> {
    let missing = || Problem::not_found("Signal");
    let id = SignalId::parse(id).ok_or_else(missing)?;
    app.store.signal(tenant, &id).await?.ok_or_else(missing)
}

/// A signal as lists, stories and streams show it.
pub fn summary(record: &SignalRecord) -> Value {
    let id = record.id.as_str();
    let mut shown = json!({
        "_id": id, "id": id, "event_id": id, "name": record.name, "payload": record.payload,
        "receivedAt": record.received_at, "matched": record.matched,
    });
    if !record.attributes.0.is_empty() {
        shown["attributes"] = json!(record.attributes.0);
    }
    if let Some(first) = &record.replay_of {
        shown["replayOf"] = json!(first);
    }
    shown
}
