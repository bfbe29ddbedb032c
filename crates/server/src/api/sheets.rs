//! Tables: `….csv` out, `…/import` in, with the scopes of reading and writing the same things one by one.
//!
//! Invariant: a table that is sent is read as it arrives, never as a whole.
//! Not here: columns and rules (`app::sheet`).

use super::events::Target;
use crate::app::directory::{self, Viewer};
use crate::app::sheet::directory::{Half, Sponsors, Vendors};
use crate::app::sheet::import::{Effect, Table, is_table, run};
use crate::app::sheet::listed::Listed;
use crate::app::sheet::stored::Stored;
use crate::app::sheet::{directory as entries, events as gatherings, export, parts};
use crate::app::{budget, events, tasks};
use crate::face::body::{announced, drain, kind_of, too_large, unread};
use crate::face::caller::{
    Admin, Caller, Can, ReadBudget, ReadEvents, ReadSponsors, ReadTasks, ReadVendors, WriteBudget,
    WriteEvents, WriteTasks,
};
use crate::face::endpoint::routes;
use crate::face::idempotency::Stopped;
use crate::face::idempotency::arriving::Arriving;
use crate::face::moment::Moment;
use crate::face::openapi::One;
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use openevent_domain::ambient::Millis;
use openevent_domain::id::EventId;
use openevent_domain::planning::budget::Item;
use openevent_domain::planning::task::Task;
use openevent_store::planning::events::{Audience, Listing};
use openevent_store::planning::parts::Filter;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(write_events))
        .routes(routes!(read_events))
        .routes(routes!(write_vendors))
        .routes(routes!(read_vendors))
        .routes(routes!(write_sponsors))
        .routes(routes!(read_sponsors))
        .routes(routes!(write_tasks))
        .routes(routes!(read_tasks))
        .routes(routes!(write_budget))
        .routes(routes!(read_budget))
}

/// A table on its way, and what is to be done with it. Nothing of it has been read yet.
struct Sheet {
    body: Body,
    effect: Effect,
    arriving: Arriving,
}

impl FromRequest<Arc<App>> for Sheet {
    type Rejection = Stopped;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Stopped> {
        let params = Params::of(request.uri().query().unwrap_or(""));
        let (head, body) = request.into_parts();
        let (kind, bytes_max) = (kind_of(&head.headers), app.settings.import_bytes_max);
        let refusal = if announced(&head.headers) as u64 > bytes_max {
            Some(too_large(usize::try_from(bytes_max).unwrap_or(usize::MAX)))
        } else if is_table(&kind) {
            None
        } else {
            Some(unread(&kind))
        };
        if let Some(problem) = refusal {
            drain(body).await;
            return Err(problem.into());
        }
        let effect = match (params.flag("dryRun")?, params.flag("atomic")?) {
            (Some(true), _) => Effect::Tried,
            (_, Some(true)) => Effect::AllOrNothing,
            _ => Effect::Written,
        };
        let (arriving, body) = Arriving::begin(app, &head, body).await?;
        Ok(Self { body, effect, arriving })
    }
}

impl Sheet {
    async fn into<T: Table>(self, app: &App, mut table: T) -> Result<Reply, Problem> {
        let reply = run(&mut table, self.effect, self.body, app.settings.import_bytes_max).await?;
        self.arriving.finish(&app.store, reply).await
    }
}

/// What became of a table.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
struct ImportView {
    /// Nothing was written.
    dry_run: bool,
    rows: u64,
    created: u64,
    updated: u64,
    unchanged: u64,
    refused: u64,
    /// Whether the table was read to its end.
    complete: bool,
    /// Rows that are refused, at most 1000 of them.
    errors: Vec<RefusedRow>,
    /// With `dryRun`: what would become of the first 1000 rows.
    plan: Option<Vec<PlannedRow>>,
    /// Columns nobody knows.
    ignored_columns: Option<Vec<String>>,
}

/// A row that is refused.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct RefusedRow {
    /// Where it begins, from 1.
    line: u64,
    #[schema(value_type = Vec<Object>)]
    issues: Vec<serde_json::Value>,
}

/// What would become of a row.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct PlannedRow {
    line: u64,
    /// `create`, `update`, `none` or `refuse`.
    action: String,
    id: Option<String>,
}

/// How a table is read.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the parameters")]
struct Reading {
    /// Write nothing, and tell what would become of each row.
    dry_run: Option<bool>,
    /// Write all rows, or none if one is refused; at most 5000 rows.
    atomic: Option<bool>,
}

/// How a table is written.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the parameters")]
struct Writing {
    /// Begin with a byte order mark, as some spreadsheets want it.
    bom: Option<bool>,
}

/// Gives events as a table
///
/// All that the list shows with the same filters and order.
#[utoipa::path(
    get,
    path = "/api/v1/events.csv",
    tag = "Tables",
    params(Writing, super::events::Filters, ("sort" = Option<String>, Query, description = "As the list")),
    responses((status = 200, description = "A table", content_type = "text/csv", body = String)),
    security(("apiKey" = ["events:read"])),
)]
async fn write_events(
    caller: Can<ReadEvents>,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, Problem> {
    let filter = events::filter(&params)?;
    let (sort, direction) = events::order(&params, filter.search.is_some())?;
    let audience = Audience::Members(caller.tenant.clone());
    let listing = Listing { audience, filter, sort, direction };
    export::answer(gatherings::Written::new(app, listing), &params).await
}

/// Makes and changes events by a table
///
/// A row changes the event of its `id`, or the one of its `title` and `startDate`, and makes one if there is none.
#[utoipa::path(
    post,
    path = "/api/v1/events/import",
    tag = "Tables",
    params(Reading),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "What became of it", body = One<ImportView>)),
    security(("apiKey" = ["events:write"])),
)]
async fn read_events(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    sheet: Sheet,
) -> Result<Reply, Problem> {
    let read = gatherings::Read { app: &app, caller: &caller, now };
    sheet.into(&app, Stored::new(&app, read, now)).await
}

/// Gives vendors as a table
#[utoipa::path(
    get,
    path = "/api/v1/vendors.csv",
    tag = "Tables",
    params(
        Writing,
        ("category" = Option<String>, Query, description = "Only this category"),
        ("search" = Option<String>, Query, description = "Words in name or description"),
        ("status" = Option<String>, Query, description = "For admins: `pending`, `approved`, `rejected` or `all`"),
    ),
    responses((status = 200, description = "A table", content_type = "text/csv", body = String)),
    security(("apiKey" = ["vendors:read"])),
)]
async fn write_vendors(
    caller: Can<ReadVendors>,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, Problem> {
    write_entries::<Vendors>(app, &caller, &params).await
}

/// Makes and changes vendors by a table
///
/// A row changes the vendor of its `id`, or the one of its `name`, and makes one if there is none.
#[utoipa::path(
    post,
    path = "/api/v1/vendors/import",
    tag = "Tables",
    params(Reading),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "What became of it", body = One<ImportView>)),
    security(("apiKey" = ["*"])),
)]
async fn read_vendors(
    caller: Admin,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    sheet: Sheet,
) -> Result<Reply, Problem> {
    read_entries::<Vendors>(&app, &caller, now, sheet).await
}

/// Gives sponsors as a table
#[utoipa::path(
    get,
    path = "/api/v1/sponsors.csv",
    tag = "Tables",
    params(
        Writing,
        ("industry" = Option<String>, Query, description = "Only this industry"),
        ("search" = Option<String>, Query, description = "Words in name or description"),
        ("status" = Option<String>, Query, description = "For admins: `pending`, `approved`, `rejected` or `all`"),
    ),
    responses((status = 200, description = "A table", content_type = "text/csv", body = String)),
    security(("apiKey" = ["sponsors:read"])),
)]
async fn write_sponsors(
    caller: Can<ReadSponsors>,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, Problem> {
    write_entries::<Sponsors>(app, &caller, &params).await
}

/// Makes and changes sponsors by a table
///
/// A row changes the sponsor of its `id`, or the one of its `name`, and makes one if there is none.
#[utoipa::path(
    post,
    path = "/api/v1/sponsors/import",
    tag = "Tables",
    params(Reading),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "What became of it", body = One<ImportView>)),
    security(("apiKey" = ["*"])),
)]
async fn read_sponsors(
    caller: Admin,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    sheet: Sheet,
) -> Result<Reply, Problem> {
    read_entries::<Sponsors>(&app, &caller, now, sheet).await
}

async fn write_entries<H: Half>(
    app: Arc<App>,
    caller: &Caller,
    params: &Params,
) -> Result<Response, Problem> {
    let viewer = Viewer::of(caller);
    let filter = directory::filter(H::SIDE, viewer, params)?;
    export::answer(entries::Written::<H>::new(app, filter, viewer), params).await
}

async fn read_entries<H: Half>(
    app: &App,
    caller: &Caller,
    now: Millis,
    sheet: Sheet,
) -> Result<Reply, Problem> {
    let read = entries::Read::<H>::new(app, caller, now);
    sheet.into(app, Stored::new(app, read, now)).await
}

/// Gives an event's tasks as a table
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/tasks.csv",
    tag = "Tables",
    params(
        ("id" = String, Path, description = "The event's id"),
        Writing,
        ("status" = Option<String>, Query, description = "`todo`, `in_progress`, `blocked` or `completed`"),
        ("priority" = Option<String>, Query, description = "`low`, `medium`, `high` or `urgent`"),
    ),
    responses((status = 200, description = "A table", content_type = "text/csv", body = String)),
    security(("apiKey" = ["tasks:read"])),
)]
async fn write_tasks(
    caller: Can<ReadTasks>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    params: Params,
) -> Result<Response, Problem> {
    write_parts::<Task>(app, &caller, &event.event.id, tasks::filter(&params)?, &params).await
}

/// Makes and changes an event's tasks by a table
///
/// A row changes the task of its `id`, or the one of its `title`, and makes one if there is none.
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/tasks/import",
    tag = "Tables",
    params(("id" = String, Path, description = "The event's id"), Reading),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "What became of it", body = One<ImportView>)),
    security(("apiKey" = ["tasks:write"])),
)]
async fn read_tasks(
    caller: Can<WriteTasks>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Moment(now): Moment,
    sheet: Sheet,
) -> Result<Reply, Problem> {
    read_parts::<Task>(&app, &caller, &event.event.id, now, sheet).await
}

/// Gives an event's budget as a table
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/budget.csv",
    tag = "Tables",
    params(
        ("id" = String, Path, description = "The event's id"),
        Writing,
        ("status" = Option<String>, Query, description = "`planned`, `committed`, `paid` or `cancelled`"),
        ("category" = Option<String>, Query, description = "Only this category"),
    ),
    responses((status = 200, description = "A table", content_type = "text/csv", body = String)),
    security(("apiKey" = ["budget:read"])),
)]
async fn write_budget(
    caller: Can<ReadBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    params: Params,
) -> Result<Response, Problem> {
    write_parts::<Item>(app, &caller, &event.event.id, budget::filter(&params)?, &params).await
}

/// Makes and changes an event's budget by a table
///
/// A row changes the item of its `id`, or the one of its `category` and `name`, and makes one if there is none.
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/budget/import",
    tag = "Tables",
    params(("id" = String, Path, description = "The event's id"), Reading),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "What became of it", body = One<ImportView>)),
    security(("apiKey" = ["budget:write"])),
)]
async fn read_budget(
    caller: Can<WriteBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Moment(now): Moment,
    sheet: Sheet,
) -> Result<Reply, Problem> {
    read_parts::<Item>(&app, &caller, &event.event.id, now, sheet).await
}

async fn write_parts<P: Listed>(
    app: Arc<App>,
    caller: &Caller,
    event: &EventId,
    filter: Filter,
    params: &Params,
) -> Result<Response, Problem> {
    export::answer(parts::Written::<P>::new(app, caller, event, filter), params).await
}

async fn read_parts<P: Listed>(
    app: &App,
    caller: &Caller,
    event: &EventId,
    now: Millis,
    sheet: Sheet,
) -> Result<Reply, Problem> {
    let read = parts::Read::<P>::new(app, caller, event, now).await?;
    sheet.into(app, Stored::new(app, read, now)).await
}
