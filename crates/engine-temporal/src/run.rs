//! The workflow `Run`: one run, driven by Temporal.
//!
//! Invariant: deterministic. It polls what it waits for in the order it began, mail first; its times are the workflow's;
//! every decision is the pilot's. One turn is written at a time, in order.
//! Not here: what nodes do (`activities`), how runs are started (`dispatcher`).

use crate::activities::{Activities, Open, Perform, Write};
use crate::letters;
use futures::future::{FusedFuture as _, LocalBoxFuture};
use openevent_domain::ambient::Millis;
use openevent_engine::remote::{Handover, Opening, Pilot, Ready, Turned, Undertaking};
use openevent_flow::{Call, Definition, Input};
use openevent_store::audit::AuditRecord;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::{Duration, SystemTime};
use temporalio_common::data_converters::RawValue;
use temporalio_common::{ActivityCloseTimeouts, RetryPolicy};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ContinueAsNewOptions, SyncWorkflowContext, TimerOptions, WaitConditionOptions,
    WorkflowCancellationToken, WorkflowContext, WorkflowResult,
};

/// The longest a node may take to read or write rows before another is asked.
const ROWS_MAX: Duration = Duration::from_secs(30);
/// The longest call; the node's own deadlines end it before.
const CALL_MAX: Duration = Duration::from_hours(24);
/// A call that says nothing for so long is made again elsewhere.
const SILENCE_MAX: Duration = Duration::from_secs(12);
/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Events of a history after which a run goes on in a new one.
const HISTORY_MAX: u32 = 8_000;
/// Definitions that are kept compiled.
const DEFINITIONS_MAX: usize = 1_000;

/// What somebody wants of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Steer {
    pub(crate) input: Input,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<AuditRecord>,
}

/// What came in and was not taken yet.
#[derive(Debug)]
enum Mail {
    Told(Vec<Input>),
    Asked { ticket: u64, steer: Box<Steer> },
}

/// What was waited for.
enum Event {
    Answer(Input),
    Turned(Turned),
    /// A timer that was abandoned.
    Nothing,
}

type Waiting = LocalBoxFuture<'static, Event>;

/// One run. The state is what its handlers share with it.
#[workflow]
#[derive(Default)]
pub(crate) struct Run {
    mail: VecDeque<Mail>,
    tickets: u64,
    replies: BTreeMap<u64, bool>,
    is_over: bool,
}

#[workflow_methods]
impl Run {
    /// Drives it.
    #[run(name = "Run")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, handover: Handover) -> WorkflowResult<()> {
        let open = Open { run: handover.run.clone(), execution: handover.execution.clone() };
        let opened = ctx.execute_activity(Activities::open, open, rows("reads the run")).await?;
        if let Opening::Ready(ready) = opened {
            let is_long = Voyage::set_out(ctx.clone(), *ready).sail().await;
            if is_long {
                ctx.continue_as_new(handover, ContinueAsNewOptions::default())?;
            }
        }
        ctx.state_mut(|state| state.is_over = true);
        let handlers = ctx.clone();
        let detached = WaitConditionOptions::builder().cancellation_token(WorkflowCancellationToken::new());
        let _ = ctx
            .wait_condition_with_options(move |_| handlers.all_handlers_finished(), detached.build())
            .await;
        Ok(())
    }

    /// Tells it what happened.
    #[signal(name = "tell")]
    pub(crate) fn tell(&mut self, _ctx: &mut SyncWorkflowContext<Self>, letter: RawValue) {
        if let Some(inputs) = letters::open(&letter, "run") {
            self.mail.push_back(Mail::Told(inputs));
        }
    }

    /// Tells it what somebody wants; answers whether that changed anything, once it is written.
    #[update(name = "steer")]
    pub(crate) async fn steer(ctx: &mut WorkflowContext<Self>, letter: RawValue) -> bool {
        let Some(steer) = letters::open::<Steer>(&letter, "steer") else { return false };
        let ticket = ctx.state_mut(|state| {
            state.tickets += 1;
            state.mail.push_back(Mail::Asked { ticket: state.tickets, steer: Box::new(steer) });
            state.tickets
        });
        let detached = WaitConditionOptions::builder().cancellation_token(WorkflowCancellationToken::new());
        let answered = move |state: &Self| state.is_over || state.replies.contains_key(&ticket);
        let _ = ctx.wait_condition_with_options(answered, detached.build()).await;
        ctx.state_mut(|state| state.replies.remove(&ticket)).unwrap_or(false)
    }
}

/// A run on its way.
struct Voyage {
    ctx: WorkflowContext<Run>,
    handover: (openevent_domain::id::RunId, openevent_domain::tenant::Tenant),
    pilot: Pilot,
    /// In the order they began.
    waiting: Vec<Waiting>,
    tokens: HashMap<u64, WorkflowCancellationToken>,
    calls: usize,
    is_writing: bool,
    /// Whether the history is long enough: nothing new begins, and it goes on in another.
    is_long: bool,
    /// Whether somebody cancelled the workflow itself.
    is_cancelled: bool,
    /// Who waits for the turn that is written, and for the next.
    promised: Vec<u64>,
    asked: Vec<u64>,
}

impl Voyage {
    fn set_out(ctx: WorkflowContext<Run>, ready: Ready) -> Self {
        let definition = definition(&ready);
        let handover = (ready.run.clone(), ready.tenant.clone());
        let pilot = Pilot::set_out(ready, definition, now(&ctx));
        Self {
            ctx,
            handover,
            pilot,
            waiting: Vec::new(),
            tokens: HashMap::new(),
            calls: 0,
            is_writing: false,
            is_long: false,
            is_cancelled: false,
            promised: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Goes on until the run has ended, or its history is too long. `true`: the latter.
    async fn sail(mut self) -> bool {
        loop {
            self.is_long |= self.ctx.continue_as_new_suggested() || self.ctx.history_length() > HISTORY_MAX;
            for undertaking in self.pilot.undertakings() {
                self.undertake(undertaking);
            }
            if !self.is_writing
                && let Some(turn) = self.pilot.turn()
            {
                self.is_writing = true;
                self.promised = std::mem::take(&mut self.asked);
                let summary = written(&turn);
                let (ctx, write) = (self.ctx.clone(), Write { run: self.handover.0.clone(), turn });
                self.waiting.push(Box::pin(async move {
                    let turned = ctx.execute_activity(Activities::write, write, rows(&summary)).await;
                    // It is tried for ever: it fails only when the history itself does not read.
                    Event::Turned(turned.unwrap_or(Turned { over: true, ..Turned::default() }))
                }));
            }
            if !self.is_writing && self.pilot.is_finished() {
                return false;
            }
            let is_still = !self.is_writing && self.calls == 0;
            if self.is_long && is_still && self.ctx.state(|state| state.mail.is_empty()) {
                return true;
            }
            if self.wait().await {
                return false;
            }
        }
    }

    /// Waits for one thing and takes it in. `true`: the run is over for another reason than its own end.
    async fn wait(&mut self) -> bool {
        match self.next().await {
            None => self.take_mail(),
            Some(Event::Nothing) => {}
            Some(Event::Answer(input)) => {
                if let Input::Done { op, .. } | Input::Failed { op, .. } | Input::Fired { op } = &input {
                    self.tokens.remove(op);
                }
                self.pilot.take(input, now(&self.ctx));
            }
            Some(Event::Turned(turned)) => {
                self.is_writing = false;
                let over = turned.over;
                let promised = std::mem::take(&mut self.promised);
                self.ctx.state_mut(|state| state.replies.extend(promised.into_iter().map(|one| (one, true))));
                self.pilot.turned(turned, now(&self.ctx));
                return over;
            }
        }
        false
    }

    /// The next event; `None`: there is mail, or the workflow was cancelled.
    async fn next(&mut self) -> Option<Event> {
        let ctx = self.ctx.clone();
        let detached = WaitConditionOptions::builder().cancellation_token(WorkflowCancellationToken::new());
        let mail = ctx.wait_condition_with_options(|state| !state.mail.is_empty(), detached.build());
        let cancelled = ctx.cancelled();
        futures::pin_mut!(mail, cancelled);
        let (waiting, is_cancelled) = (&mut self.waiting, &mut self.is_cancelled);
        let (event, was_call) = std::future::poll_fn(|cx| {
            if mail.as_mut().poll(cx).is_ready() {
                return Poll::Ready((None, false));
            }
            if !*is_cancelled && !cancelled.is_terminated() && cancelled.as_mut().poll(cx).is_ready() {
                *is_cancelled = true;
                return Poll::Ready((None, true));
            }
            for at in 0..waiting.len() {
                if let Poll::Ready(event) = waiting[at].as_mut().poll(cx) {
                    drop(waiting.remove(at));
                    return Poll::Ready((Some(event), false));
                }
            }
            Poll::Pending
        })
        .await;
        if was_call {
            self.pilot.take(Input::Cancel, now(&self.ctx));
        }
        if let Some(Event::Answer(Input::Done { .. } | Input::Failed { .. })) = &event {
            self.calls -= 1;
        }
        event
    }

    fn take_mail(&mut self) {
        for mail in self.ctx.state_mut(|state| std::mem::take(&mut state.mail)) {
            match mail {
                Mail::Told(inputs) => {
                    for input in inputs {
                        self.pilot.take(input, now(&self.ctx));
                    }
                }
                Mail::Asked { ticket, steer } => {
                    if self.pilot.steer(steer.input, steer.act, now(&self.ctx)) {
                        self.asked.push(ticket);
                    } else {
                        self.ctx.state_mut(|state| state.replies.insert(ticket, false));
                    }
                }
            }
        }
    }

    fn undertake(&mut self, undertaking: Undertaking) {
        match undertaking {
            Undertaking::Abandon { op } => {
                if let Some(token) = self.tokens.remove(&op) {
                    token.cancel();
                }
            }
            // It is undertaken again where the run goes on.
            Undertaking::Call { .. } | Undertaking::Timer { .. } if self.is_long => {}
            Undertaking::Call { op, call, secrets } => {
                let token = WorkflowCancellationToken::new();
                self.tokens.insert(op, token.clone());
                self.calls += 1;
                let options =
                    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::StartToClose(CALL_MAX))
                        .heartbeat_timeout(SILENCE_MAX)
                        .retry_policy(patient())
                        .summary(called(&call))
                        .cancellation_token(token)
                        .build();
                let (ctx, (run, tenant)) = (self.ctx.clone(), self.handover.clone());
                let perform = Perform { tenant, run, op, call, secrets };
                self.waiting.push(Box::pin(async move {
                    let done = ctx.execute_activity(Activities::call, perform, options).await;
                    Event::Answer(done.unwrap_or_else(|cause| failed(op, &cause)))
                }));
            }
            Undertaking::Timer { op, at } => {
                let token = WorkflowCancellationToken::new();
                self.tokens.insert(op, token.clone());
                let pause = Duration::from_millis((at - now(&self.ctx)).max(0) as u64);
                let options = TimerOptions::builder(pause).cancellation_token(token.clone()).build();
                let ctx = self.ctx.clone();
                self.waiting.push(Box::pin(async move {
                    ctx.timer(options).await;
                    if token.is_cancelled() { Event::Nothing } else { Event::Answer(Input::Fired { op }) }
                }));
            }
        }
    }
}

/// A call Temporal gave up: it was cancelled, or its answer does not read.
fn failed(op: u64, cause: &dyn std::error::Error) -> Input {
    use openevent_flow::{Fault, FaultKind};
    Input::Failed { op, error: Fault::new(FaultKind::Runtime, crate::connection::chain(cause)) }
}

/// The workflow's time.
fn now(ctx: &WorkflowContext<Run>) -> Millis {
    let since = ctx.workflow_time().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_millis() as Millis)
}

/// Reading and writing rows is tried until it succeeds.
fn rows(summary: &str) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(ROWS_MAX).retry_policy(patient()).summary(summary).build()
}

fn patient() -> RetryPolicy {
    RetryPolicy::builder().initial_interval(Duration::from_millis(100)).maximum_interval(PAUSE_MAX).build()
}

/// What a call is, for people.
fn called(call: &Call) -> String {
    let text = match call {
        Call::Http(call) => format!("{} {}", call.method, call.uri.split('?').next().unwrap_or_default()),
        Call::OpenApi(call) => format!("{} of {}", call.operation_id, call.document.uri),
        Call::Process(_) => "runs a process".to_owned(),
        Call::Secrets { names } => format!("looks up {}", names.join(", ")),
        _ => "calls".to_owned(),
    };
    text.chars().take(200).collect()
}

/// What a turn is, for people.
fn written(turn: &openevent_engine::remote::Turn) -> String {
    let mut words = Vec::new();
    if let (Some(first), Some(last)) = (turn.entries.first(), turn.entries.last()) {
        words.push(if first.seq == last.seq {
            format!("journal {}", first.seq)
        } else {
            format!("journal {}–{}", first.seq, last.seq)
        });
    }
    let count = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    words.extend(count(turn.emissions.len(), "emitted"));
    words.extend(count(turn.children.len(), "started"));
    words.extend(count(turn.listens.len(), "listened for"));
    words.extend(turn.mark.map(|status| status.as_str().to_owned()));
    words.extend(turn.ended.as_ref().map(|_| "the end".to_owned()));
    words.join(", ")
}

/// The definition, compiled; by its hash, so that it is compiled once.
fn definition(ready: &Ready) -> Arc<Definition> {
    static KNOWN: LazyLock<RwLock<HashMap<String, Arc<Definition>>>> = LazyLock::new(RwLock::default);
    if let Some(known) = KNOWN.read().get(&ready.hash) {
        return Arc::clone(known);
    }
    let parsed = Definition::parse_with(&ready.source, &ready.documents);
    let Ok(parsed) = parsed else {
        // The node that opened the run could read it: another version of this program is at work here.
        panic!("the definition {} does not read here", ready.hash)
    };
    let (mut known, definition) = (KNOWN.write(), Arc::new(parsed.definition));
    if known.len() >= DEFINITIONS_MAX {
        known.clear();
    }
    known.insert(ready.hash.clone(), Arc::clone(&definition));
    definition
}
