//! Steering a run at any node: the one that drives does it, here or elsewhere.
//!
//! Invariant: a request is done at most once, and its audit row is in the commit of what it changes. Whoever hears nothing
//! is told so, and may ask again: doing what is done already is no error.
//! Not here: what steering does to a run (the engine).

use crate::face::problem::Problem;
use crate::state::App;
use openevent_domain::id::{RunId, uuid_v7};
use openevent_domain::tenant::Tenant;
use openevent_engine::{Control, Unheard};
use openevent_store::audit::AuditRecord;
use openevent_store::run_requests::RunRequest;
use openevent_store::{Dialect, Error};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long an answer is waited for: longer than another node takes to begin to drive.
const PATIENCE: Duration = Duration::from_secs(12);
/// How often is looked without being woken.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The shortest time between two looks: every commit of every node wakes.
const PACE: Duration = Duration::from_millis(20);
/// When a request is removed that nobody cares for any more.
const FORGOTTEN_AFTER_MS: i64 = 60_000;

/// Has a run steered. Answers whether that changed anything.
pub(crate) async fn steer(
    app: &App,
    tenant: &Tenant,
    run: &RunId,
    control: Control,
    act: &AuditRecord,
) -> Result<bool, Problem> {
    let is_alone = app.store.dialect() == Dialect::Sqlite || app.engine.is_on_a_cluster();
    if is_alone || app.engine.drives() {
        match app.engine.control_as(tenant, run, control, act.clone()).await {
            Ok(changed) => return Ok(changed),
            Err(unheard) if is_alone => return Err(Problem::unavailable(unheard)),
            Err(_unheard) => {}
        }
    }
    let now = app.clock.now();
    let request = RunRequest {
        id: uuid_v7(now, app.chance.as_ref()).to_string(),
        tenant: tenant.clone(),
        run: run.clone(),
        control: text(control).to_owned(),
        act: act.clone(),
        asked_at: now,
    };
    let answer = ask(app, &request).await?;
    app.store.withdraw_run_request(&request.id).await?;
    answer.ok_or_else(|| Problem::unavailable(Unheard))
}

async fn ask(app: &App, request: &RunRequest) -> Result<Option<bool>, Error> {
    let mut stirred = app.store.wake().stirred();
    app.store.ask_of_run(request).await?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(changed) = app.store.run_request_answer(&request.id).await? {
            return Ok(Some(changed));
        }
        // Woken or not: it is looked again.
        let _ = timeout(LOOK_EVERY, stirred.changed()).await;
        sleep(PACE).await;
    }
    app.store.run_request_answer(&request.id).await
}

/// Does what other nodes were asked, for ever, while this one drives.
pub(crate) async fn attend(app: &App) {
    if app.store.dialect() == Dialect::Sqlite {
        return;
    }
    let mut stirred = app.store.wake().stirred();
    loop {
        if app.engine.drives()
            && let Err(cause) = answer(app).await
        {
            tracing::debug!(cause = %cause, "what other nodes were asked of runs could not be read or answered");
        }
        let _ = timeout(LOOK_EVERY, stirred.changed()).await;
        sleep(PACE).await;
    }
}

async fn answer(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let requests = app.store.run_requests(now - PATIENCE.as_millis() as i64).await?;
    if !requests.is_empty() {
        app.store.forget_run_requests(now - FORGOTTEN_AFTER_MS).await?;
    }
    for RunRequest { id, tenant, run, control, act, .. } in requests {
        let Some(control) = parse(&control) else { continue };
        if !app.store.take_run_request(&id).await? {
            continue;
        }
        // Unheard: this node has just ceased to drive, and whoever asked will ask again.
        if let Ok(changed) = app.engine.control_as(&tenant, &run, control, act).await {
            app.store.answer_run_request(&id, changed).await?;
        }
    }
    Ok(())
}

fn text(control: Control) -> &'static str {
    match control {
        Control::Cancel => "cancel",
        Control::Suspend => "suspend",
        Control::Resume => "resume",
    }
}

fn parse(text: &str) -> Option<Control> {
    [Control::Cancel, Control::Suspend, Control::Resume]
        .into_iter()
        .find(|control| self::text(*control) == text)
}
