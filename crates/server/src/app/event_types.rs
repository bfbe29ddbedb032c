//! The catalogue of signal names: what they mean, what their payload looks like.
//!
//! Invariant: a stored schema compiles and its example satisfies it. The twelve built-in names are always
//! there; what is put over one of them is added, and deleting removes only that.
//! Not here: checking signals against schemas (ingest does, through `schema_book`).

use crate::app::audit::{Act, note};
use crate::face::caller::Caller;
use crate::face::etag::IfMatch;
use crate::face::problem::{Code, FieldIssue, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::signal::{BUILT_IN, SignalName};
use openevent_domain::tenant::Tenant;
use openevent_domain::told::told;
use openevent_flow::Schema;
use openevent_store::event_types::EventType;
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// The longest description.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Names of one tenant that are listed.
const LISTED_MAX: i64 = 10_000;

/// A catalogued signal name.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventType)]
pub struct EventTypeView {
    /// The name.
    #[serde(rename = "_id")]
    pub underscore_id: String,
    /// The name.
    pub id: String,
    /// The name.
    #[schema(example = "order.created")]
    pub name: String,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema (2020-12) of the payload. Signals that do not satisfy it are refused. Of a built-in name it
    /// describes what the server itself sends, and refuses nothing, unless it was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// A payload to copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// Whether the server itself sends it.
    pub built_in: bool,
    /// When it was first put, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Millis>,
    /// When it was last put, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Millis>,
}

/// What a caller says about a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// What it means.
    pub description: Option<String>,
    /// JSON Schema of the payload.
    pub schema: Option<Value>,
    /// A payload to copy.
    pub example: Option<Value>,
}

/// What a PUT did.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    /// The tenant had nothing under this name.
    Created(EventTypeView),
    /// It replaced what was there.
    Replaced(EventTypeView),
}

/// All names of a tenant and the built-in ones, by name.
pub async fn list(app: &App, tenant: &Tenant) -> Result<Vec<EventTypeView>, Problem> {
    let mut views: Vec<_> =
        app.store.event_types(tenant, LISTED_MAX).await?.into_iter().map(EventTypeView::of).collect();
    for (name, words) in BUILT_IN {
        if !views.iter().any(|view| view.name == name) {
            views.push(EventTypeView::built_in(name, words));
        }
    }
    views.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(views)
}

/// One name.
pub async fn get(app: &App, tenant: &Tenant, name: &str) -> Result<EventTypeView, Problem> {
    find(app, tenant, name).await?.ok_or_else(|| Problem::not_found("Event type"))
}

/// Puts a name into the catalogue, or replaces what it says.
pub async fn put(
    app: &App,
    caller: &Caller,
    name: &SignalName,
    draft: Draft,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Put, Problem> {
    let tenant = &caller.tenant;
    let schema = check(&draft)?;
    let pen = app.schemas.pen().await;
    let stored = app.store.event_type(tenant, name.as_str()).await?;
    match find(app, tenant, name.as_str()).await? {
        Some(view) => if_match.check(&etag(&view))?,
        None => if_match.check_absent()?,
    }
    let event_type = EventType {
        name: name.as_str().to_owned(),
        description: draft.description,
        schema: draft.schema.clone(),
        example: draft.example,
        created_at: stored.as_ref().map_or(now, |stored| stored.created_at),
        updated_at: now,
    };
    let mut set = WriteSet::new();
    set.put_event_type(tenant, &event_type);
    let view = EventTypeView::of(event_type);
    let was = stored.clone().map(EventTypeView::of);
    let act = match &was {
        None => Act::made("event_type.put", name.as_str(), &view),
        Some(was) => Act::changed("event_type.put", name.as_str(), was, &view),
    };
    note(app, &mut set, caller, act, now);
    app.store.submit(set).await?;
    match draft.schema.zip(schema) {
        Some((document, schema)) => pen.put(tenant, name.as_str(), document, schema),
        None => pen.remove(tenant, name.as_str()),
    }
    Ok(if stored.is_none() { Put::Created(view) } else { Put::Replaced(view) })
}

/// Takes a name out of the catalogue; a built-in one loses only what was put over it.
pub async fn delete(
    app: &App,
    caller: &Caller,
    name: &str,
    if_match: &IfMatch,
    now: Millis,
) -> Result<(), Problem> {
    let tenant = &caller.tenant;
    let pen = app.schemas.pen().await;
    let Some(stored) = app.store.event_type(tenant, name).await? else {
        return Err(if words_of(name).is_some() {
            Problem::new(Code::BadRequest, "A built-in event type cannot be deleted")
        } else {
            Problem::not_found("Event type")
        });
    };
    let view = EventTypeView::of(stored);
    if_match.check(&etag(&view))?;
    let mut set = WriteSet::new();
    set.delete_event_type(tenant, name);
    note(app, &mut set, caller, Act::gone("event_type.delete", name, &view), now);
    match app.store.submit(set).await {
        // Somebody else deleted it between our two looks.
        Err(Error::Missed(_)) => Err(Problem::not_found("Event type")),
        Err(error) => Err(error.into()),
        Ok(()) => {
            pen.remove(tenant, name);
            Ok(())
        }
    }
}

/// The tag of a name's present state.
pub fn etag(view: &EventTypeView) -> String {
    Reply::ok(view).tagged().etag.unwrap_or_default()
}

async fn find(app: &App, tenant: &Tenant, name: &str) -> Result<Option<EventTypeView>, Problem> {
    let stored = app.store.event_type(tenant, name).await?.map(EventTypeView::of);
    Ok(stored.or_else(|| words_of(name).map(|words| EventTypeView::built_in(name, words))))
}

/// The compiled schema, once schema and example are known to be good.
fn check(draft: &Draft) -> Result<Option<Arc<Schema>>, Problem> {
    let Some(document) = &draft.schema else { return Ok(None) };
    let schema = Schema::compile(document).map_err(|words| Problem::field("schema", words))?;
    if let Some(example) = &draft.example {
        schema.check(example).map_err(|errors| {
            let issue = |error: openevent_flow::SchemaError| {
                FieldIssue::new(format!("example{}", error.path), error.issue)
            };
            Problem::fields(errors.into_iter().map(issue).collect())
        })?;
    }
    Ok(Some(Arc::new(schema)))
}

fn words_of(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(built_in, _)| *built_in == name).map(|(_, words)| *words)
}

impl EventTypeView {
    fn of(stored: EventType) -> Self {
        let words = words_of(&stored.name);
        let ours = told(&stored.name);
        let (schema, example) = match (stored.schema, ours) {
            // What somebody put is theirs, as a whole.
            (None, Some(ours)) => (Some(ours.schema), stored.example.or(Some(ours.example))),
            (schema, _) => (schema, stored.example),
        };
        Self {
            underscore_id: stored.name.clone(),
            id: stored.name.clone(),
            built_in: words.is_some(),
            description: stored.description.or_else(|| words.map(str::to_owned)),
            name: stored.name,
            schema,
            example,
            created_at: Some(stored.created_at),
            updated_at: Some(stored.updated_at),
        }
    }

    fn built_in(name: &str, words: &str) -> Self {
        let (schema, example) = told(name).map(|told| (told.schema, told.example)).unzip();
        Self {
            underscore_id: name.to_owned(),
            id: name.to_owned(),
            name: name.to_owned(),
            description: Some(words.to_owned()),
            schema,
            example,
            built_in: true,
            created_at: None,
            updated_at: None,
        }
    }
}
