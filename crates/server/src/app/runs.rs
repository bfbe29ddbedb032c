//! Runs: started by hand, shown, steered.
//!
//! Invariant: a run's tasks are not stored; they are what replaying its journal shows, so they cannot disagree
//! with what happened.
//! Not here: driving runs (the engine).

use crate::app::audit::{Act, note, told};
use crate::app::steering;
use crate::face::caller::Caller;
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::problem::{Code, FieldIssue, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use http::StatusCode;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::tenant::Tenant;
use openevent_engine::{Control, Damaged, Past, Refusal, Workflow, has_gate, mask};
use openevent_flow::{Chronicle, Definition, Input};
use openevent_store::WriteSet;
use openevent_store::audit::AuditRecord;
use openevent_store::runs::{Filter, Place, RunRecord};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The phases a list can be cut down to.
const PHASES: [&str; 7] = ["pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"];
/// The longest a caller may wait for a run.
pub const WAIT_MAX: Duration = Duration::from_mins(1);
/// How often a caller who waits looks into the store.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often, and after which pause, a run that has not begun yet is asked for again.
const BEGINNING_LOOKS_MAX: u32 = 100;
const BEGINNING_PACE: Duration = Duration::from_millis(20);

/// Starts a run by hand; with `wait`, answers when it has ended or the time is over.
pub async fn start(
    app: &App,
    caller: &Caller,
    workflow: &Workflow,
    input: Value,
    wait: Option<Duration>,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let refused = |Refusal(issues)| {
        Problem::fields(issues.into_iter().map(|issue| FieldIssue::new(issue.field, issue.issue)).collect())
    };
    let run = app.engine.spine().start_by_hand(tenant, workflow, input, now).map_err(refused)?;
    let run = Arc::new(run);
    let watching = match wait {
        Some(_) => app.engine.watch(&run.id).await.ok(),
        None => None,
    };
    let mut set = WriteSet::new();
    set.add_run(Arc::clone(&run));
    let of = json!({"workflow": format!("{}/{}", run.namespace, run.name), "version": run.version});
    note(app, &mut set, caller, Act::made("run.start", run.id.as_str(), &of), now);
    let path = format!("/api/v1/runs/{}", run.id);
    let begun = json!({
        "_id": run.id, "id": run.id, "status": "pending", "input": run.input.as_ref(), "startedAt": run.started_at,
        "workflow": {"namespace": run.namespace, "name": run.name, "version": run.version}, "tasks": [],
    });
    let reply = guard.commit(&app.store, set, Reply::created(path.clone(), &begun)).await?;
    let (Some(wait), false) = (wait, reply.is_replayed) else { return Ok(reply) };
    // Whether it ended or the time is over, the store knows best.
    let _ = tokio::time::timeout(wait, ended(app, tenant, &run.id, watching)).await;
    let shown = show(app, tenant, run.id.as_str()).await?;
    let ended = shown.get("endedAt").is_some();
    let status = if ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(Reply { location: Some(path), ..Reply::with(status, &shown, None) })
}

/// Ends when the run has: told by the engine of this node, or found in the store when another node drives it.
async fn ended(app: &App, tenant: &Tenant, id: &RunId, watching: Option<oneshot::Receiver<()>>) {
    let told = async {
        let is_told = match watching {
            Some(watching) => watching.await.is_ok(),
            None => false,
        };
        if !is_told {
            std::future::pending::<()>().await;
        }
    };
    let found = async {
        let mut stirred = app.store.wake().stirred();
        loop {
            // Commits wake those who wait, at a pace of their own; a commit that told nobody is found later.
            tokio::time::sleep(BEGINNING_PACE).await;
            let _ = tokio::time::timeout(LOOK_AGAIN, stirred.changed()).await;
            if matches!(app.store.run(tenant, id).await, Ok(Some(run)) if run.ended_at.is_some()) {
                return;
            }
        }
    };
    tokio::select! {
        () = told => {}
        () = found => {}
    }
}

/// How long a caller wants to wait: `30s`, at most [`WAIT_MAX`].
pub fn wait(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let ms =
        openevent_domain::duration::parse_ms(text).map_err(|bad| Problem::field("wait", bad.to_string()))?;
    Ok(Some(Duration::from_millis(ms).min(WAIT_MAX)))
}

/// A page of runs.
pub async fn list(app: &App, tenant: &Tenant, list: &List) -> Result<Reply, Problem> {
    let params = &list.params;
    let phases = PHASES.map(|phase| (phase, phase));
    let (mut namespace, mut name) =
        (params.get("namespace").map(str::to_owned), params.get("name").map(str::to_owned));
    if let Some(workflow) = params.get("workflow") {
        match workflow.split_once('/') {
            Some((before, after)) => (namespace, name) = (Some(before.to_owned()), Some(after.to_owned())),
            None => name = Some(workflow.to_owned()),
        }
    }
    let event_id = match params.get("eventId") {
        Some(text) => Some(SignalId::parse(text).ok_or_else(|| Problem::field("eventId", "must be a UUID"))?),
        None => None,
    };
    let filter =
        Filter { status: params.one_of("status", &phases)?.map(str::to_owned), namespace, name, event_id };
    let place = match list.after::<String>()? {
        Some(id) => Place::After(RunId::trusted(id)),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.runs(tenant, &filter, &place, list.limit + 1).await?;
    let total = app.store.runs_count(tenant, &filter).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&row.id));
    let shown: Vec<Value> = rows.iter().map(summary).collect();
    Ok(list.reply(&shown, &meta))
}

/// One run with its tasks.
pub async fn show(app: &App, tenant: &Tenant, id: &str) -> Result<Value, Problem> {
    let record = find(app, tenant, id).await?;
    let mut shown = summary(&record);
    shown["input"] = mask(record.input.clone());
    shown["tasks"] = json!([]);
    let definition = app.engine.registry().definition(&record.definition_hash).await?;
    let Some(definition) = definition.filter(|definition| has_begun(&record, definition)) else {
        return Ok(shown);
    };
    let is_live = record.ended_at.is_none();
    let past = Past::read(&app.store, &record.id).await?;
    let chronicle = replay(record, definition, past, None).await?;
    if is_live {
        shown["status"] = json!(chronicle.run().status());
    }
    add_tasks(&mut shown, &chronicle);
    Ok(shown)
}

/// Whether a run has begun as far as its row can say: where there is a gate, the gate writes it down.
fn has_begun(record: &RunRecord, definition: &Definition) -> bool {
    !has_gate(definition) || record.begun_at.is_some()
}

/// Folds what a run has behind it, and perhaps one more input.
async fn replay(
    record: RunRecord,
    definition: Arc<Definition>,
    past: Past,
    next: Option<(Millis, Input)>,
) -> Result<Chronicle, Problem> {
    let fold = move || {
        let mut chronicle = past.chronicle(&record, &definition)?;
        if let Some((at, input)) = next {
            chronicle.take(&definition, at, input);
        }
        Ok::<_, Damaged>(chronicle)
    };
    // Folding evaluates expressions, which may take a while: not on a thread that serves others.
    tokio::task::spawn_blocking(fold).await.map_err(Problem::internal)?.map_err(Problem::internal)
}

fn add_tasks(shown: &mut Value, chronicle: &Chronicle) {
    shown["tasks"] = mask(json!(chronicle.tasks()));
    if chronicle.omitted() > 0 {
        shown["tasksOmitted"] = json!(chronicle.omitted());
    }
}

/// Lets a faulted run go on from what failed. The journal's next entry and the row are one commit; whichever engine
/// drives takes the run up from there.
pub async fn retry(
    app: &App,
    caller: &Caller,
    id: &str,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let mut record = find(app, tenant, id).await?;
    let Some(ended_at) = record.ended_at.filter(|_| record.status == "faulted") else {
        let words = format!("Only a run that has faulted can be retried: it is {}", record.status);
        return Err(Problem::bad_request(words));
    };
    let definition = app.engine.registry().definition(&record.definition_hash).await?;
    let definition = definition.filter(|definition| has_begun(&record, definition));
    let definition = definition.ok_or_else(|| Problem::bad_request("The run cannot be taken up any more"))?;
    let past = Past::read(&app.store, &record.id).await?;
    let seq = past.last_seq() + 1;
    let before = replay(record.clone(), Arc::clone(&definition), past.clone(), None).await?;
    if !before.run().clone().apply(&definition, now, Input::Retry).accepted {
        return Err(Problem::bad_request("Nothing of the run is left that could be done again"));
    }
    let after = replay(record.clone(), definition, past, Some((now, Input::Retry))).await?;
    (record.error, record.ended_at, record.status) = (None, None, after.run().status().as_str().to_owned());
    record.retries += 1;
    let mut shown = summary(&record);
    shown["input"] = mask(record.input.clone());
    add_tasks(&mut shown, &after);
    let entry = serde_json::to_string(&Input::Retry).map_err(Problem::internal)?;
    let mut set = WriteSet::new();
    set.append_journal(&record.id, seq, now, entry);
    set.reopen_run(tenant, &record.id, ended_at);
    let (was, is) = (json!({"status": "faulted"}), json!({"status": record.status}));
    note(app, &mut set, caller, Act::changed("run.retry", record.id.as_str(), &was, &is), now);
    guard.commit(&app.store, set, Reply::ok(&shown)).await
}

/// Cancels, suspends or resumes a run. Doing what is done already is no error.
pub async fn steer(
    app: &App,
    caller: &Caller,
    id: &str,
    control: Control,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let record = find(app, tenant, id).await?;
    if record.ended_at.is_some() {
        return Err(Problem::bad_request(format!("The run has ended already: it is {}", record.status)));
    }
    let name = match control {
        Control::Cancel => "run.cancel",
        Control::Suspend => "run.suspend",
        Control::Resume => "run.resume",
    };
    let act = told(app, caller, Act::done(name, record.id.as_str()), now);
    ask(app, tenant, &record.id, control, &act).await?;
    let reply = Reply::ok(&show(app, tenant, id).await?);
    guard.commit(&app.store, WriteSet::new(), reply).await
}

/// Asks the engine until it has heard of the run: a run that was just committed is begun a moment later.
async fn ask(
    app: &App,
    tenant: &Tenant,
    id: &RunId,
    control: Control,
    act: &AuditRecord,
) -> Result<(), Problem> {
    let mut before = find(app, tenant, id.as_str()).await?;
    for _ in 0..BEGINNING_LOOKS_MAX {
        if steering::steer(app, tenant, id, control, act).await? {
            return Ok(());
        }
        let now = find(app, tenant, id.as_str()).await?;
        let is_done = matches!(
            (control, now.status.as_str()),
            (Control::Cancel, "cancelled") | (Control::Suspend, "suspended")
        );
        // One that had begun before it was asked has nothing to change; one that begins meanwhile is asked again.
        if is_done || (now.ended_at.is_none() && before.status != "pending") {
            return Ok(());
        }
        if now.ended_at.is_some() {
            return Err(Problem::bad_request(format!("The run has ended already: it is {}", now.status)));
        }
        before = now;
        tokio::time::sleep(BEGINNING_PACE).await;
    }
    Err(Problem::new(Code::Conflict, "The run is only just starting; please try again"))
}

async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<RunRecord, Problem> {
    let missing = || Problem::not_found("Run");
    let id = RunId::parse(id).ok_or_else(missing)?;
    app.store.run(tenant, &id).await?.ok_or_else(missing)
}

/// A run as lists show it.
fn summary(record: &RunRecord) -> Value {
    let mut shown = json!({
        "_id": record.id, "id": record.id, "status": record.status, "startedAt": record.started_at,
        "workflow": {"namespace": record.namespace, "name": record.name, "version": record.version},
    });
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown[name] = value;
        }
    };
    add("eventId", record.event_id.as_ref().map(|id| json!(id)));
    add("parent", record.parent.as_ref().map(|parent| json!({"id": parent.run, "depth": parent.depth})));
    add("begunAt", record.begun_at.map(|at| json!(at)));
    add("retries", (record.retries > 0).then(|| json!(record.retries)));
    add("output", record.output.clone().map(mask));
    add("error", record.error.clone().map(mask));
    add("endedAt", record.ended_at.map(|at| json!(at)));
    shown
}

/// A run as the story of its signal shows it.
pub(crate) fn in_story(record: &RunRecord) -> Value {
    let mut shown = summary(record);
    shown["run_id"] = json!(record.id);
    shown["version"] = json!(record.version);
    shown["workflow"] = json!(format!("{}/{}", record.namespace, record.name));
    shown
}
