//! `/api/v1/events/{id}/budget`: what an event may cost and did cost.
//!
//! Invariant: the event is looked for before a body is read.
//! Not here: the rules (`app::budget`).

use super::events::Target;
use crate::app::budget as use_case;
use crate::face::body::{Body, Json};
use crate::face::caller::{Can, ReadBudget, WriteBudget};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Deleted, Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(summary))
        .routes(routes!(get, change, delete))
}

/// What an item is made of. A PATCH takes any of it; `null` clears what may be absent.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct ItemBody {
    /// At most 100 characters.
    category: String,
    /// At most 200 characters.
    name: String,
    /// At most three decimals; as a number, or as its digits in a text.
    #[schema(value_type = f64)]
    estimated_amount: Value,
    #[schema(value_type = Option<f64>)]
    actual_amount: Option<Value>,
    /// ISO 4217; without it, the event's, or USD.
    currency: Option<String>,
    /// `planned` (the default), `committed`, `paid` or `cancelled`.
    status: Option<String>,
    vendor_id: Option<String>,
    sponsor_id: Option<String>,
    notes: Option<String>,
}

/// An item of a budget.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = BudgetItem)]
#[expect(dead_code, reason = "documents the answer")]
struct ItemView {
    id: String,
    event_id: String,
    #[serde(flatten)]
    body: ItemBody,
    created_at: i64,
    updated_at: i64,
}

/// What a budget comes to in one currency.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct CurrencyView {
    currency: String,
    /// The event's own, in its currency.
    budget: Option<f64>,
    /// The estimates of all that is not cancelled.
    planned: f64,
    /// What is promised or paid: what it did cost where that is known, else its estimate.
    committed: f64,
    /// What it did cost, where that is known.
    actual: f64,
    /// Planned less actual.
    remaining: f64,
    /// The same four sums by category.
    #[schema(value_type = Vec<Object>)]
    categories: Vec<Value>,
}

/// What a budget comes to.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = BudgetSummary)]
#[expect(dead_code, reason = "documents the answer")]
struct SummaryView {
    event_id: String,
    /// In the event's currency.
    #[serde(flatten)]
    main: CurrencyView,
    /// In every currency, the event's first.
    currencies: Vec<CurrencyView>,
}

/// Lists the items of a budget
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/budget",
    tag = "Budget",
    params(
        ("id" = String, Path, description = "The event's id"),
        Page,
        ("status" = Option<String>, Query, description = "`planned`, `committed`, `paid` or `cancelled`"),
        ("category" = Option<String>, Query, description = "Only this category"),
    ),
    responses((status = 200, description = "Budget", body = Many<ItemView>)),
    security(("apiKey" = ["budget:read"])),
)]
async fn list(
    caller: Can<ReadBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    list: List,
) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &event.event.id, &list).await
}

/// Adds an item to a budget
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/budget",
    tag = "Budget",
    params(("id" = String, Path, description = "The event's id")),
    request_body = ItemBody,
    responses((status = 201, description = "The item", body = One<ItemView>)),
    security(("apiKey" = ["budget:write"])),
)]
async fn create(
    caller: Can<WriteBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::create(&app, &caller, &event.event, body, guard, now).await
}

/// Reads an item
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/budget/{item_id}",
    tag = "Budget",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("item_id" = String, Path, description = "The item's id"),
    ),
    responses((status = 200, description = "The item", body = One<ItemView>)),
    security(("apiKey" = ["budget:read"])),
)]
async fn get(
    caller: Can<ReadBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller.tenant, &event.event.id, &id).await
}

/// Changes an item
#[utoipa::path(
    patch,
    path = "/api/v1/events/{id}/budget/{item_id}",
    tag = "Budget",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("item_id" = String, Path, description = "The item's id"),
    ),
    request_body = ItemBody,
    responses((status = 200, description = "The item as it is now", body = One<ItemView>)),
    security(("apiKey" = ["budget:write"])),
)]
async fn change(
    caller: Can<WriteBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::change(&app, &caller, &event.event.id, &id, body, &if_match, now).await
}

/// Deletes an item
#[utoipa::path(
    delete,
    path = "/api/v1/events/{id}/budget/{item_id}",
    tag = "Budget",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("item_id" = String, Path, description = "The item's id"),
    ),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["budget:write"])),
)]
async fn delete(
    caller: Can<WriteBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, &event.event.id, &id, &if_match, now).await
}

/// Adds a budget up
///
/// By currency and category, exactly.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/budget/summary",
    tag = "Budget",
    params(("id" = String, Path, description = "The event's id")),
    responses((status = 200, description = "What it comes to", body = One<SummaryView>)),
    security(("apiKey" = ["budget:read"])),
)]
async fn summary(
    caller: Can<ReadBudget>,
    State(app): State<Arc<App>>,
    Target(event): Target,
) -> Result<Reply, Problem> {
    use_case::summary(&app, &caller.tenant, &event.event).await
}
