//! A cluster in this process: executions that outlive nodes, activities that are cut off with their node and made again.
//!
//! Invariant: it knows nothing of runs but what a [`Pilot`] says, as a real cluster's driver does; whatever it is told
//! twice it takes once.
//! Not here: a real cluster (`openevent-engine-temporal`).

use crate::support::TestClock;
use openevent_domain::ambient::Clock as _;
use openevent_engine::remote::{
    Away, Boxed, Cluster, Desk, Handover, Opening, Pilot, Ready, Turned, Undertaking,
};
use openevent_flow::{Definition, Input};
use openevent_store::audit::AuditRecord;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Between two looks at the test's clock, and before an activity is tried again.
const PACE: Duration = Duration::from_millis(5);

/// What an execution is told.
#[derive(Debug)]
struct Mail {
    input: Input,
    act: Option<AuditRecord>,
    reply: Option<oneshot::Sender<bool>>,
}

#[derive(Debug)]
pub(crate) struct Simulated {
    clock: Arc<TestClock>,
    desks: Mutex<Vec<(Desk, CancellationToken)>>,
    opened: Notify,
    taken: Mutex<HashSet<String>>,
    live: Mutex<HashMap<String, mpsc::UnboundedSender<Mail>>>,
    this: std::sync::Weak<Self>,
}

/// What an execution waits for.
enum Event {
    Answer(u64, Input),
    Turned(Turned),
}

impl Simulated {
    pub(crate) fn new(clock: Arc<TestClock>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            clock,
            desks: Mutex::default(),
            opened: Notify::new(),
            taken: Mutex::default(),
            live: Mutex::default(),
            this: this.clone(),
        })
    }

    /// A node works for the cluster until it stops.
    pub(crate) fn employ(&self, desk: Desk, stop: CancellationToken) {
        self.desks.lock().push((desk, stop));
        self.opened.notify_waiters();
    }

    /// Does something at some node, again if the node goes or cannot.
    async fn activity<T>(self: Arc<Self>, work: impl Fn(Desk) -> Boxed<'static, Option<T>>) -> T {
        loop {
            let opened = self.opened.notified();
            let desk = self.desks.lock().iter().find(|(_, stop)| !stop.is_cancelled()).cloned();
            let Some((desk, stop)) = desk else {
                opened.await;
                continue;
            };
            if let Some(Some(done)) = stop.run_until_cancelled(work(desk)).await {
                return done;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn drive(self: Arc<Self>, run: Handover, mut mailbox: mpsc::UnboundedReceiver<Mail>) {
        let (id, execution) = (run.run.clone(), run.execution.clone());
        let open = move |desk: Desk| {
            let (id, execution) = (id.clone(), execution.clone());
            Box::pin(async move { desk.open(&id, &execution).await.ok() }) as Boxed<'static, _>
        };
        let opened = Arc::clone(&self).activity(open).await;
        if let Opening::Ready(ready) = opened {
            self.pilot(&run, carried(*ready), &mut mailbox).await;
        }
        self.live.lock().remove(&run.execution);
    }

    async fn pilot(
        self: &Arc<Self>,
        run: &Handover,
        ready: Ready,
        mailbox: &mut mpsc::UnboundedReceiver<Mail>,
    ) {
        let parsed = Definition::parse_with(&ready.source, &ready.documents).expect("a definition");
        let mut pilot = Pilot::set_out(ready, Arc::new(parsed.definition), self.clock.now());
        let mut tasks: JoinSet<Event> = JoinSet::new();
        let mut aborts: HashMap<u64, AbortHandle> = HashMap::new();
        let (mut is_writing, mut asked, mut promised) = (false, Vec::new(), Vec::new());
        loop {
            for undertaking in pilot.undertakings() {
                self.undertake(run, carried(undertaking), &mut tasks, &mut aborts);
            }
            if !is_writing && let Some(turn) = pilot.turn() {
                is_writing = true;
                promised = std::mem::take(&mut asked);
                let (this, id) = (Arc::clone(self), run.run.clone());
                let turn = carried(turn);
                let write = move |desk: Desk| {
                    let (id, turn) = (id.clone(), turn.clone());
                    Box::pin(async move { desk.turn(&id, turn).await.ok() }) as Boxed<'static, _>
                };
                tasks.spawn(async move { Event::Turned(carried(this.activity(write).await)) });
            }
            if pilot.is_finished() && !is_writing {
                return;
            }
            tokio::select! {
                Some(mail) = mailbox.recv() => {
                    let changed = pilot.steer(carried(mail.input), mail.act, self.clock.now());
                    match mail.reply {
                        Some(reply) if changed => asked.push(reply),
                        Some(reply) => {
                            let _ = reply.send(false);
                        }
                        None => {}
                    }
                }
                Some(event) = tasks.join_next() => match event {
                    // It was abandoned.
                    Err(_) => {}
                    Ok(Event::Answer(op, input)) => {
                        aborts.remove(&op);
                        pilot.take(input, self.clock.now());
                    }
                    Ok(Event::Turned(turned)) => {
                        is_writing = false;
                        promised.drain(..).for_each(|reply: oneshot::Sender<bool>| {
                            let _ = reply.send(true);
                        });
                        let over = turned.over;
                        pilot.turned(turned, self.clock.now());
                        if over {
                            return;
                        }
                    }
                },
            }
        }
    }

    fn undertake(
        self: &Arc<Self>,
        run: &Handover,
        undertaking: Undertaking,
        tasks: &mut JoinSet<Event>,
        aborts: &mut HashMap<u64, AbortHandle>,
    ) {
        let this = Arc::clone(self);
        match undertaking {
            Undertaking::Call { op, call, secrets } => {
                let (tenant, id) = (run.tenant.clone(), run.run.clone());
                let perform = move |desk: Desk| {
                    let (tenant, id) = (tenant.clone(), id.clone());
                    let (call, secrets) = (call.clone(), secrets.clone());
                    Box::pin(async move { Some(desk.call(tenant, id, op, call, secrets).await) })
                        as Boxed<'static, _>
                };
                let work = async move { Event::Answer(op, carried(this.activity(perform).await)) };
                aborts.insert(op, tasks.spawn(work));
            }
            Undertaking::Timer { op, at } => {
                let work = async move {
                    while this.clock.now() < at {
                        tokio::time::sleep(PACE).await;
                    }
                    Event::Answer(op, Input::Fired { op })
                };
                aborts.insert(op, tasks.spawn(work));
            }
            Undertaking::Abandon { op } => {
                if let Some(task) = aborts.remove(&op) {
                    task.abort();
                }
            }
        }
    }

    fn post(&self, execution: &str, mail: Mail) -> bool {
        let live = self.live.lock();
        live.get(execution).is_some_and(|mailbox| mailbox.send(mail).is_ok())
    }
}

/// What travels to a real cluster and back is JSON; nothing may be lost on the way.
fn carried<T: serde::Serialize + serde::de::DeserializeOwned>(value: T) -> T {
    let text = serde_json::to_string(&value).expect("it can be written");
    serde_json::from_str(&text).expect("it can be read")
}

impl Cluster for Simulated {
    #[expect(clippy::disallowed_methods, reason = "executions belong to no node; they end with the test")]
    fn hand_over(&self, runs: Vec<Handover>) -> Boxed<'_, Result<(), Away>> {
        for run in runs {
            if self.taken.lock().insert(run.execution.clone())
                && let Some(this) = self.this.upgrade()
            {
                let (mailbox, mail) = mpsc::unbounded_channel();
                self.live.lock().insert(run.execution.clone(), mailbox);
                tokio::spawn(this.drive(carried(run), mail));
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn tell(&self, execution: String, inputs: Vec<Input>) -> Boxed<'_, Result<bool, Away>> {
        let mut told = false;
        for input in inputs {
            told = self.post(&execution, Mail { input, act: None, reply: None });
        }
        Box::pin(std::future::ready(Ok(told)))
    }

    fn check(&self) -> Boxed<'_, Result<(), Away>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn trouble(&self) -> Option<String> {
        None
    }

    fn ask(
        &self,
        execution: String,
        input: Input,
        act: Option<AuditRecord>,
    ) -> Boxed<'_, Result<Option<bool>, Away>> {
        let (reply, answer) = oneshot::channel();
        let is_posted = self.post(&execution, Mail { input, act, reply: Some(reply) });
        Box::pin(async move { Ok(if is_posted { answer.await.ok() } else { None }) })
    }
}
