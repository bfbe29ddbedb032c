//! Workflow definitions: checked, put, shown, removed.
//!
//! Invariant: a definition that does not parse changes nothing; one that is put is listened to before the
//! answer is given.
//! Not here: the language (`flow`), files (see `folder`).

use crate::app::audit::{Act, note};
use crate::face::caller::Caller;
use crate::face::etag::IfMatch;
use crate::face::list::List;
use crate::face::problem::{Code, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use http::StatusCode;
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;
use openevent_engine::{Linked, Workflow, first_start};
use openevent_flow::{Definition, Issue};
use openevent_store::WriteSet;
use openevent_store::workflows::{Origin, WorkflowRecord};
use serde_json::{Value, json};
use std::sync::Arc;

/// Whether tasks this server does not offer are put all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// The definition is refused.
    Refused,
    /// The definition is put, and such a task faults when it is reached.
    Allowed,
}

/// Checks a definition without putting it. What it needs from elsewhere is fetched and forgotten.
pub async fn validate(app: &App, tenant: &Tenant, source: &str) -> Result<Reply, Problem> {
    let Linked { definition, unsupported: warnings, .. } = link(app, tenant, source).await?;
    let data = json!({
        "valid": true, "namespace": definition.namespace(), "name": definition.name(), "version": definition.version(),
    });
    Ok(Reply::with(StatusCode::OK, &data, meta(&warnings).as_ref()))
}

/// Puts a definition under the name its document gives, which must be that of the path.
pub async fn put(
    app: &App,
    caller: &Caller,
    path: (&str, &str),
    source: String,
    unsupported: Unsupported,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let Linked { definition, documents, unsupported: warnings, .. } = link(app, tenant, &source).await?;
    check_path(&definition, path)?;
    if unsupported == Unsupported::Refused && !warnings.is_empty() {
        return Err(refusal(
            &warnings,
            "The definition uses what this server does not offer; add ?allowUnsupported=true to put it all the same",
        ));
    }
    let registry = app.engine.registry();
    let current = registry.workflow(tenant, path.0, path.1, None);
    match &current {
        Some(current) => if_match.check(&etag(current))?,
        None => if_match.check_absent()?,
    }
    let replaced = registry.workflow(tenant, path.0, path.1, Some(definition.version()));
    refuse_file(replaced.as_deref())?;
    let mut set = WriteSet::new();
    set.put_workflow(&WorkflowRecord {
        tenant: tenant.clone(),
        namespace: definition.namespace().to_owned(),
        name: definition.name().to_owned(),
        version: definition.version().to_owned(),
        definition_hash: definition.hash().to_owned(),
        origin: Origin::Api,
        created_at: now,
        updated_at: now,
        source,
        documents,
    });
    let target = format!("{}/{}", path.0, path.1);
    let was = replaced.as_ref().map(|was| told(&was.version, &was.hash));
    let is = Some(told(definition.version(), definition.hash()));
    note(app, &mut set, caller, Act { name: "workflow.put", target: &target, before: was, after: is }, now);
    app.store.submit(set).await?;
    registry.refresh().await?;
    let put = registry.workflow(tenant, path.0, path.1, Some(definition.version()));
    let put = put.ok_or_else(|| Problem::not_found("Workflow"))?;
    let (data, meta) = (in_full(app, tenant, &put), meta(&warnings));
    let tag = etag(&put);
    if replaced.is_some() {
        return Ok(Reply::with(StatusCode::OK, &data, meta.as_ref()).tagged_as(tag));
    }
    let location = format!("/api/v1/workflows/{}/{}", path.0, path.1);
    Ok(Reply {
        location: Some(location),
        ..Reply::with(StatusCode::CREATED, &data, meta.as_ref()).tagged_as(tag)
    })
}

/// The current version of a workflow, or the one asked for.
pub fn find(
    app: &App,
    tenant: &Tenant,
    path: (&str, &str),
    version: Option<&str>,
) -> Result<Arc<Workflow>, Problem> {
    app.engine
        .registry()
        .workflow(tenant, path.0, path.1, version)
        .ok_or_else(|| Problem::not_found("Workflow"))
}

/// One workflow with its definition, and when the clock starts it next.
pub async fn show(
    app: &App,
    tenant: &Tenant,
    path: (&str, &str),
    version: Option<&str>,
) -> Result<Reply, Problem> {
    let workflow = find(app, tenant, path, version)?;
    let mut shown = in_full(app, tenant, &workflow);
    if let Some(at) = next_run_at(app, tenant, &workflow).await? {
        shown["nextRunAt"] = json!(at);
    }
    Ok(Reply::ok(&shown).tagged_as(etag(&workflow)))
}

/// The stored next start; of a workflow the engine has not taken up yet, the one its definition tells.
async fn next_run_at(app: &App, tenant: &Tenant, workflow: &Workflow) -> Result<Option<Millis>, Problem> {
    let (namespace, name) = (&workflow.namespace, &workflow.name);
    let is_current = app.engine.registry().workflow(tenant, namespace, name, None);
    let is_current = is_current.is_some_and(|current| current.version == workflow.version);
    if workflow.definition.schedule().is_none() || !is_current {
        return Ok(None);
    }
    let stored = app.store.schedule(tenant, namespace, name).await?;
    let taken_up =
        stored.filter(|stored| stored.definition_hash == workflow.hash && stored.version == workflow.version);
    Ok(taken_up.map_or_else(|| first_start(workflow), |stored| stored.next_at))
}

/// What becomes of a workflow that is removed while runs of it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveRuns {
    /// It stays.
    Keep,
    /// It goes; they go on with the definition they began with.
    LetGo,
}

/// The current versions.
pub fn list(app: &App, tenant: &Tenant, list: &List) -> Result<Reply, Problem> {
    let wanted = list.params.get("namespace");
    let current = app.engine.registry().current(tenant);
    let shown: Vec<Value> = current
        .iter()
        .filter(|workflow| wanted.is_none_or(|namespace| namespace == workflow.namespace))
        .map(|workflow| summary(workflow))
        .collect();
    let member = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    list.slice(&shown, |row| (member(row, "namespace"), member(row, "name")))
}

/// Removes a workflow, or one version of it. Runs that began with it go on.
pub async fn delete(
    app: &App,
    caller: &Caller,
    path: (&str, &str),
    version: Option<&str>,
    live_runs: LiveRuns,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let current = find(app, tenant, path, version)?;
    if_match.check(&etag(&current))?;
    if live_runs == LiveRuns::Keep {
        refuse_live(app, tenant, path, version).await?;
    }
    let versions = app.engine.registry().versions(tenant, path.0, path.1);
    let mut set = WriteSet::new();
    for workflow in versions.iter().filter(|workflow| version.is_none_or(|wanted| wanted == workflow.version))
    {
        refuse_file(Some(workflow))?;
        set.delete_workflow_version(tenant, path.0, path.1, &workflow.version);
        let target = format!("{}/{}", path.0, path.1);
        let was = Some(told(&workflow.version, &workflow.hash));
        note(
            app,
            &mut set,
            caller,
            Act { name: "workflow.delete", target: &target, before: was, after: None },
            now,
        );
    }
    app.store.submit(set).await?;
    app.engine.registry().refresh().await?;
    Ok(Reply::deleted())
}

async fn refuse_live(
    app: &App,
    tenant: &Tenant,
    (namespace, name): (&str, &str),
    version: Option<&str>,
) -> Result<(), Problem> {
    let live = app.store.live_count(tenant, namespace, name, version).await?;
    if live == 0 {
        return Ok(());
    }
    let words = format!(
        "{live} runs of this workflow have not ended; add ?force=true to remove it all the same: they go on with the definition they began with"
    );
    Err(Problem::new(Code::Conflict, words))
}

async fn link(app: &App, tenant: &Tenant, source: &str) -> Result<Linked, Problem> {
    let linked = app.engine.link(tenant, source).await;
    linked.map_err(|issues| refusal(&issues, "The workflow definition is not valid"))
}

fn refusal(issues: &[Issue], message: &'static str) -> Problem {
    Problem::new(Code::ValidationError, message).with_value(issues.iter().map(issue).collect())
}

/// What the audit log tells of a definition: which it is. Its text may be large, and is where it always is.
fn told(version: &str, hash: &str) -> Value {
    json!({"version": version, "hash": hash})
}

fn issue(issue: &Issue) -> Value {
    let Issue { line, column, path, reason, .. } = issue;
    json!({"field": path, "issue": reason, "line": line, "column": column, "path": path, "reason": reason})
}

fn meta(warnings: &[Issue]) -> Option<Value> {
    (!warnings.is_empty()).then(|| json!({"warnings": warnings.iter().map(issue).collect::<Value>()}))
}

fn check_path(definition: &Definition, (namespace, name): (&str, &str)) -> Result<(), Problem> {
    let pairs = [
        ("document.namespace", definition.namespace(), namespace),
        ("document.name", definition.name(), name),
    ];
    for (field, given, wanted) in pairs {
        if given != wanted {
            return Err(Problem::field(field, format!("is `{given}`, but the path says `{wanted}`")));
        }
    }
    Ok(())
}

fn refuse_file(workflow: Option<&Workflow>) -> Result<(), Problem> {
    match workflow {
        Some(workflow) if workflow.origin == Origin::File => Err(Problem::new(
            Code::Conflict,
            "This version comes from a file in the workflows folder; change it there",
        )),
        _ => Ok(()),
    }
}

fn etag(workflow: &Workflow) -> String {
    format!("\"{}-{}\"", workflow.hash.get(..16).unwrap_or(&workflow.hash), workflow.updated_at)
}

fn summary(workflow: &Workflow) -> Value {
    let path = workflow.path();
    let definition = &workflow.definition;
    let filters = definition.trigger().map(openevent_flow::Trigger::filters).unwrap_or_default();
    let listens_to: Vec<&str> = filters.iter().filter_map(|filter| filter.event_type()).collect();
    let mut shown = json!({
        "_id": path, "id": path, "namespace": workflow.namespace, "name": workflow.name, "version": workflow.version,
        "listensTo": listens_to, "origin": workflow.origin.as_str(),
        "createdAt": workflow.created_at, "updatedAt": workflow.updated_at,
    });
    if let Some(title) = definition.title() {
        shown["title"] = json!(title);
    }
    if let Some(summary) = definition.summary() {
        shown["summary"] = json!(summary);
    }
    shown
}

fn in_full(app: &App, tenant: &Tenant, workflow: &Workflow) -> Value {
    let versions = app.engine.registry().versions(tenant, &workflow.namespace, &workflow.name);
    let mut shown = summary(workflow);
    shown["versions"] = versions.iter().map(|version| json!(version.version)).collect();
    shown["hash"] = json!(workflow.hash);
    shown["definition"] = workflow.definition.document().clone();
    shown["source"] = json!(workflow.source);
    shown
}
