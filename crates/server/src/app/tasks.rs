//! The tasks of an event.
//!
//! Invariant: what a task waits for is checked on the tasks that are there when it is written. `task.created` is
//! raised once for a task, `task.completed` when it is completed for the first time.
//! Not here: the rules (the domain's `planning::task`).

use crate::app::announce::{announce, present};
use crate::app::audit::{Act, note};
use crate::app::events::{ATTEMPTS_MAX, again};
use crate::app::forms;
use crate::app::parts::{self, Hung, Part, Placed, branch, changed_reply, created_reply};
use crate::face::caller::Caller;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Guard;
use crate::face::list::List;
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{EventId, TaskId};
use openevent_domain::planning::form::{Form, Presence};
use openevent_domain::planning::task::{Graph, Priority, Progress, Task};
use openevent_domain::tenant::Tenant;
use openevent_store::planning::events::EventRecord;
use openevent_store::planning::parts::{Basis, Branch, Filter, Kind};
use openevent_store::{Error, WriteSet};
use serde_json::{Value, json};

impl Part for Task {
    type Id = TaskId;
    const WHAT: &'static str = "Task";

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn facet(&self) -> Option<&str> {
        Some(self.priority.as_str())
    }
}

impl Placed for Task {
    const KIND: Kind = Kind::Task;
    const FOLDER: &'static str = "tasks";
}

/// A page of an event's tasks.
pub async fn list(app: &App, tenant: &Tenant, event: &EventId, list: &List) -> Result<Reply, Problem> {
    let filter = filter(&list.params)?;
    parts::list::<Task>(app, &branch::<Task>(tenant, event), &filter, list).await
}

/// One task.
pub async fn get(app: &App, tenant: &Tenant, event: &EventId, id: &str) -> Result<Reply, Problem> {
    parts::get::<Task>(app, &branch::<Task>(tenant, event), id).await
}

/// Makes a task.
pub async fn create(
    app: &App,
    caller: &Caller,
    mut event: EventRecord,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let branch = branch::<Task>(tenant, &event.event.id);
    let id = TaskId::mint(now, app.chance.as_ref());
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (mut form, mut task) = (forms::form(body.clone())?, Task::default());
        task.read(&mut form, Presence::New, now);
        let basis = tie(app, &branch, &event, &id, &[], &task, &mut form).await?;
        let ignored = forms::finish(form)?;
        let made = Hung::new(id.clone(), task, now);
        let mut set = WriteSet::new();
        add(app, &mut set, &branch, &made, now)?;
        set.touch_event(tenant, &branch.event, basis);
        let act = Act::made("task.create", made.id.as_str(), &made.shown(&branch.event));
        note(app, &mut set, caller, act, now);
        let reply = created_reply(&made, &branch.event, &ignored);
        guard.remember(&mut set, &reply);
        match app.store.submit(set).await {
            Ok(()) => return Ok(reply),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                event = again(app, tenant, &branch.event).await?;
            }
            Err(error) => return guard.settle(&app.store, error).await,
        }
    }
}

/// Adds a task and what is told of it to a set.
pub fn add(
    app: &App,
    set: &mut WriteSet,
    branch: &Branch,
    task: &Hung<Task>,
    now: Millis,
) -> Result<(), Problem> {
    set.add_part(branch, &task.record()?);
    tell(app, set, branch, "task.created", task, now)?;
    if task.body.status == Progress::Completed {
        tell(app, set, branch, "task.completed", task, now)?;
    }
    Ok(())
}

/// Changes a task, or does nothing at all.
pub async fn change(
    app: &App,
    caller: &Caller,
    mut event: EventRecord,
    id: &str,
    body: Value,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let branch = branch::<Task>(tenant, &event.event.id);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = parts::find::<Task>(app, &branch, id).await?;
        if_match.check(&before.etag())?;
        let (mut form, mut task) = (forms::form(body.clone())?, before.body.clone());
        forms::check_change(&form)?;
        task.read(&mut form, Presence::Known, now);
        let basis = tie(app, &branch, &event, &before.id, &before.body.blocked_by, &task, &mut form).await?;
        let ignored = forms::finish(form)?;
        let Some(after) = before.changed(task, now) else {
            return Ok(changed_reply(&before, &branch.event, &ignored));
        };
        let mut set = WriteSet::new();
        alter(app, &mut set, &branch, (&before, &after), now)?;
        set.touch_event(tenant, &branch.event, basis);
        let (was, is) = (before.shown(&branch.event), after.shown(&branch.event));
        note(app, &mut set, caller, Act::changed("task.update", before.id.as_str(), &was, &is), now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(changed_reply(&after, &branch.event, &ignored)),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                event = again(app, tenant, &branch.event).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Adds a change of a task and what is told of it to a set.
pub fn alter(
    app: &App,
    set: &mut WriteSet,
    branch: &Branch,
    (before, after): (&Hung<Task>, &Hung<Task>),
    now: Millis,
) -> Result<(), Problem> {
    set.change_part(branch, &after.record()?, before.version);
    if after.body.first_completed_at.is_some() && before.body.first_completed_at.is_none() {
        tell(app, set, branch, "task.completed", after, now)?;
    }
    Ok(())
}

/// The filter of a list of tasks.
pub fn filter(params: &Params) -> Result<Filter, Problem> {
    let status = params.one_of("status", &Progress::ALL.map(|one| (one.as_str(), one)))?;
    let priority = params.one_of("priority", &Priority::ALL.map(|one| (one.as_str(), one)))?;
    Ok(Filter {
        status: status.map(|status| status.as_str().to_owned()),
        facet: priority.map(|priority| priority.as_str().to_owned()),
    })
}

/// Removes a task; nothing waits for it any more.
pub async fn delete(
    app: &App,
    caller: &Caller,
    mut event: EventRecord,
    id: &str,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let branch = branch::<Task>(tenant, &event.event.id);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let gone = parts::find::<Task>(app, &branch, id).await?;
        if_match.check(&gone.etag())?;
        let mut set = WriteSet::new();
        set.delete_part(&branch, gone.id.as_str(), gone.version);
        for waiting in parts::all::<Task>(app, &branch).await? {
            let mut task = waiting.body.clone();
            task.blocked_by.retain(|id| *id != gone.id);
            if let Some(after) = waiting.changed(task, now) {
                set.change_part(&branch, &after.record()?, waiting.version);
            }
        }
        set.touch_event(tenant, &branch.event, Basis::Touched(event.touched));
        let act = Act::gone("task.delete", gone.id.as_str(), &gone.shown(&branch.event));
        note(app, &mut set, caller, act, now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(Reply::deleted()),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                event = again(app, tenant, &branch.event).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Checks what a task waits for, when that changes, and says what the change is then decided on.
async fn tie(
    app: &App,
    branch: &Branch,
    event: &EventRecord,
    id: &TaskId,
    before: &[TaskId],
    task: &Task,
    form: &mut Form,
) -> Result<Basis, Problem> {
    if task.blocked_by == before {
        return Ok(Basis::EventAlone);
    }
    let tasks = parts::all::<Task>(app, branch).await?;
    let graph = Graph::of(tasks.into_iter().map(|task| (task.id, task.body.blocked_by)));
    if let Err(knot) = graph.check(id, &task.blocked_by) {
        form.refuse("blockedBy", knot.to_string());
    }
    Ok(Basis::Touched(event.touched))
}

fn tell(
    app: &App,
    set: &mut WriteSet,
    branch: &Branch,
    name: &str,
    task: &Hung<Task>,
    now: Millis,
) -> Result<(), Problem> {
    let body = &task.body;
    let told = json!({
        "eventId": branch.event, "taskId": task.id, "title": body.title, "status": body.status,
        "priority": body.priority, "category": body.category, "assignee": body.assignee, "dueDate": body.due_date,
    });
    announce(app, set, &branch.tenant, name, task.id.as_str(), present(&told), now)
}
