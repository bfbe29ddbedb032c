//! `/api/v1/events` (signals in), `/api/v1/signals` and the stream (signals out).
//!
//! Invariant: both meanings of `POST /api/v1/events` need `events:write`; which one is meant is decided by the
//! body alone, and by the credential only where the body does not tell.
//! Not here: reading bodies (`app::intake`), storing (`app::signals`).

use crate::api::events::{EventBody, EventView};
use crate::app::intake::{self, Doubt, Meaning};
use crate::app::signals::{self as use_case, Manner};
use crate::app::{events, stream};
use crate::face::body::{Decode, Nothing, Sent, is_json};
use crate::face::caller::{Caller, Can, ReadSignals, WriteEvents};
use crate::face::endpoint::routes;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Many, One, Page};
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use openevent_domain::signal::BODY_BYTES_MAX;
use openevent_store::WriteSet;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// The largest batch.
const BATCH_BYTES_MAX: usize = 16 * BODY_BYTES_MAX;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(send))
        .routes(routes!(send_batch))
        .routes(routes!(list))
        .routes(routes!(story))
        .routes(routes!(replay))
        .routes(routes!(follow))
}

/// What a signal is sent as.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
pub struct SignalBody {
    /// 1 to 255 letters, digits and `. _ - : /`.
    #[schema(example = "order.created")]
    name: String,
    /// Any JSON object; absent, null and `{}` are equal.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
}

/// Several signals.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
pub struct BatchBody {
    /// At most 1000.
    events: Vec<SignalBody>,
}

/// The acknowledgement of a signal.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
pub struct Acknowledgement {
    success: bool,
    /// "Event received and queued for processing".
    message: String,
    /// A UUIDv7.
    event_id: String,
    data: AcknowledgementData,
}

/// The acknowledgement's data.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
pub struct AcknowledgementData {
    event_id: String,
    id: String,
    message: String,
    /// The runs it started.
    runs: Vec<StartedRun>,
}

/// A run a signal started.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
pub struct StartedRun {
    /// `namespace/name`.
    workflow: String,
    run_id: String,
}

/// A signal.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct SignalView {
    id: String,
    #[schema(rename = "event_id")]
    event_id: String,
    name: String,
    #[schema(value_type = Object)]
    payload: Value,
    /// Unix milliseconds.
    received_at: i64,
    /// Whether it started a run.
    matched: bool,
}

/// A signal with all that came of it.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
pub struct StoryView {
    #[schema(inline)]
    signal: SignalView,
    /// The workflows that listen to its name, and whether each was started.
    #[schema(value_type = Vec<Object>)]
    triggers: Vec<Value>,
    /// The runs it started.
    #[schema(value_type = Vec<Object>)]
    runs: Vec<Value>,
    /// The webhook deliveries it caused.
    #[schema(value_type = Vec<Object>)]
    deliveries: Vec<Value>,
}

/// A body that may be a signal, an event or a CloudEvent.
struct Message(Sent);

impl Decode for Message {
    const BYTES_MAX: usize = BODY_BYTES_MAX;

    fn takes(kind: &str) -> bool {
        is_json(kind)
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        Ok(Self(sent))
    }
}

/// A body that holds many.
struct Messages(Sent);

impl Decode for Messages {
    const BYTES_MAX: usize = BATCH_BYTES_MAX;

    fn takes(kind: &str) -> bool {
        is_json(kind)
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        Ok(Self(sent))
    }
}

fn doubt(caller: &Caller) -> Doubt {
    if caller.is_operator() { Doubt::Signal } else { Doubt::Event }
}

/// What the path with two meanings takes: a body with `name` is a signal, one with `title` an event.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
#[serde(untagged)]
enum SignalOrEvent {
    Signal(SignalBody),
    Event(Box<EventBody>),
}

/// Sends a signal, or makes an event
///
/// A body with `title` makes a planned event and raises `event.created`. One with `name` is a signal: checked against the catalogue's schema and the input schema of every workflow it would start, then stored
/// together with the runs it starts; only then acknowledged. Also takes CloudEvents 1.0: structured
/// (`application/cloudevents+json`), batched (`application/cloudevents-batch+json`) and binary (`ce-` headers);
/// a CloudEvent's `source` and `id` make it count once.
#[utoipa::path(
    post,
    path = "/api/v1/events",
    tag = "Signals",
    request_body = SignalOrEvent,
    responses(
        (status = 201, description = "The event; `meta.ignoredFields` names what had no effect", body = One<EventView>),
        (status = 202, description = "The signal is on disk, with every run it starts", body = Acknowledgement),
    ),
    security(("apiKey" = ["events:write"])),
)]
async fn send(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Message(sent), guard }: Once<Message>,
) -> Result<Reply, Problem> {
    match intake::read(&sent, &caller.tenant, doubt(&caller))? {
        Meaning::Signal(arrival) => {
            use_case::accept(&app, WriteSet::new(), &caller.tenant, *arrival, guard, Manner::Full, now).await
        }
        Meaning::Batch(items) => use_case::accept_batch(&app, &caller.tenant, items, guard, now).await,
        Meaning::Event(fields) => events::create(&app, &caller, fields, guard, now).await,
    }
}

/// Sends up to 1000 signals in one commit
///
/// Each item is accepted or refused for itself; `results` tells which, in order. When no item is acceptable
/// the request is refused as a whole.
#[utoipa::path(
    post,
    path = "/api/v1/events/batch",
    tag = "Signals",
    request_body = BatchBody,
    responses((status = 202, description = "The acceptable ones are on disk", body = One<Object>)),
    security(("apiKey" = ["events:write"])),
)]
async fn send_batch(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Messages(sent), guard }: Once<Messages>,
) -> Result<Reply, Problem> {
    let items = intake::read_batch(&sent, &caller.tenant)?;
    use_case::accept_batch(&app, &caller.tenant, items, guard, now).await
}

/// Lists signals
///
/// Newest first; `sort=receivedAt` turns that round.
#[utoipa::path(
    get,
    path = "/api/v1/signals",
    tag = "Signals",
    params(
        Page,
        ("name" = Option<String>, Query, description = "Only this name"),
        ("from" = Option<i64>, Query, description = "Received at or after, Unix milliseconds"),
        ("to" = Option<i64>, Query, description = "Received at or before, Unix milliseconds"),
        ("matched" = Option<bool>, Query, description = "Whether it started a run"),
        ("sort" = Option<String>, Query, description = "`-receivedAt` (the default) or `receivedAt`"),
    ),
    responses((status = 200, description = "Signals", body = Many<SignalView>)),
    security(("apiKey" = ["signals:read"])),
)]
async fn list(caller: Can<ReadSignals>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &list).await
}

/// Tells the whole story of a signal
///
/// What it said, which workflows listened, which runs it started and how they stand.
#[utoipa::path(
    get,
    path = "/api/v1/signals/{event_id}",
    tag = "Signals",
    params(("event_id" = String, Path, description = "The event id")),
    responses((status = 200, description = "The story", body = One<StoryView>)),
    security(("apiKey" = ["signals:read"])),
)]
async fn story(
    caller: Can<ReadSignals>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    use_case::story(&app, &caller.tenant, &id).await
}

/// Sends a stored signal again
///
/// As a new signal that names the first in `replayOf`.
#[utoipa::path(
    post,
    path = "/api/v1/signals/{event_id}/replay",
    tag = "Signals",
    params(("event_id" = String, Path, description = "The event id")),
    responses((status = 202, description = "Sent again", body = Acknowledgement)),
    security(("apiKey" = ["events:write"])),
)]
async fn replay(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::replay(&app, &caller, &id, guard, now).await
}

/// Follows signals as they come
///
/// Server-sent events named `signal`, whose `id` is the event id. Reconnect with `Last-Event-ID` (or
/// `?lastEventId=`) and nothing is missed or repeated.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    tag = "Signals",
    params(
        ("name" = Option<String>, Query, description = "Only this name; `order.*` for a prefix"),
        ("lastEventId" = Option<String>, Query, description = "Where to go on, for clients that cannot set headers"),
        ("Last-Event-ID" = Option<String>, Header, description = "Where to go on"),
    ),
    responses((status = 200, description = "An endless stream", content_type = "text/event-stream", body = String)),
    security(("apiKey" = ["signals:read"])),
)]
async fn follow(
    caller: Can<ReadSignals>,
    State(app): State<Arc<App>>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let last = header.or_else(|| params.get("lastEventId")).filter(|text| !text.is_empty());
    let from = stream::place(&app, &caller.tenant, last).await?;
    let names = params.get("name").map(str::to_owned);
    let body = Body::from_stream(stream::signals(app, caller.tenant.clone(), names, from));
    let mut response = body.into_response();
    let fixed = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
