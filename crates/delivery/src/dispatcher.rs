//! The dispatcher: one task that takes in what is owed, sends out of every lane in turn and has it written down.
//!
//! Invariant: it never waits for a receiver or the database itself; whatever takes time is a task that reports back.
//! Every lane gets its turn, so one that is full or slow costs the others nothing but its share of the whole.
//! Not here: the decisions of one lane (`lane`), the statements' order (`upkeep`, `record`).

use crate::attempt::{Outcome, Sender};
use crate::book::{Book, Target};
use crate::job::Job;
use crate::keys::Keys;
use crate::lane::Lane;
use crate::record::{Recorder, again_at};
use crate::settings::Settings;
use crate::upkeep::{Look, Upkeep};
use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::id::{WebhookId, uuid_v7};
use openevent_domain::webhook::Verdict;
use openevent_egress::Client;
use openevent_store::webhooks::WebhookRecord;
use openevent_store::{Debts, Error, Owner, Store, WriteSet};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Messages one turn takes in at most, of each kind.
const TURN_MAX: usize = 4_096;
/// Reports that may wait for the dispatcher.
const REPORTS_MAX: usize = 16_384;
/// Outcomes that may wait to be written down before nothing more is sent.
const UNRECORDED_MAX: usize = 8_192;
/// Outcomes that are written down together.
const RECORDED_AT_ONCE: usize = 1_024;
/// Looks after which even busy lanes are compared with the disk.
const LOOKS_PER_CHECK: u32 = 20;
/// Deliveries of one webhook that are taken in hand at one time.
const TAKEN_AT_ONCE: i64 = 512;

/// Who is told what the dispatcher decides about webhooks.
pub trait Herald: Send + Sync + std::fmt::Debug {
    /// From now on deliveries are made for this holder to send; with an empty name, for whoever finds them.
    fn attend(&self, holder: Arc<str>);

    /// A webhook is disabled by this set: adds what is told of it. The record is as it was before.
    fn disabled(&self, set: &mut WriteSet, webhook: &WebhookRecord, reason: &str, now: Millis);
}

/// What deliveries need.
#[derive(Debug)]
pub struct Parts {
    /// Where they are.
    pub store: Arc<Store>,
    /// The way out.
    pub client: Client,
    /// The keys of the secrets they are signed with.
    pub keys: Arc<Keys>,
    /// Who is told.
    pub herald: Arc<dyn Herald>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// Who owns the tasks.
    pub owner: Owner,
    /// The rest.
    pub settings: Settings,
}

/// The sender of deliveries. It stops with its owner's token.
#[derive(Clone, Debug)]
pub struct Delivery {
    holder: Arc<str>,
}

impl Delivery {
    /// Starts it. What an earlier process left is taken up.
    pub async fn start(parts: Parts) -> Result<Self, Error> {
        let holder: Arc<str> = uuid_v7(parts.clock.now(), parts.chance.as_ref()).to_string().into();
        let dispatcher = Dispatcher::new(parts, Arc::clone(&holder));
        dispatcher.upkeep.begin().await?;
        let tasks = dispatcher.owner.tasks.clone();
        tasks.spawn(dispatcher.run());
        Ok(Self { holder })
    }

    /// What this node calls itself in rows it has in hand.
    pub fn holder(&self) -> &str {
        &self.holder
    }
}

/// What tasks report.
enum Report {
    Ended(Box<Outcome>),
    Recorded {
        batch: Vec<Outcome>,
        is_written: bool,
    },
    Read {
        webhook: WebhookId,
        found: Option<Vec<Job>>,
        limit: i64,
    },
    /// A look, and how many changes of webhooks it knows of.
    Looked(Result<Look, Error>, u64),
}

struct Dispatcher {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    owner: Owner,
    settings: Settings,
    herald: Arc<dyn Herald>,
    sender: Arc<Sender>,
    recorder: Recorder,
    upkeep: Arc<Upkeep>,
    holder: Arc<str>,
    book: Arc<Book>,
    /// How many nodes send.
    nodes: u32,
    lanes: HashMap<WebhookId, Lane>,
    /// Lanes that may have something to send, in the order of their turns.
    line: VecDeque<WebhookId>,
    /// When lanes have something due on disk.
    due: BTreeSet<(Millis, WebhookId)>,
    /// When lanes with a rate may go on.
    paced: BTreeSet<(Millis, WebhookId)>,
    under_way: usize,
    unrecorded: Vec<Outcome>,
    is_recording: bool,
    is_looking: bool,
    wants_look: bool,
    look_at: Instant,
    looks: u32,
    /// Changes of webhooks that were told of, and those that the book has.
    changes: u64,
    changes_known: u64,
    debts: flume::Receiver<Debts>,
    reports: flume::Receiver<Report>,
    reporter: flume::Sender<Report>,
    /// Ends attempts that outlast the drain.
    cut: CancellationToken,
}

impl Dispatcher {
    fn new(parts: Parts, holder: Arc<str>) -> Self {
        let Parts { store, client, keys, herald, clock, chance, owner, settings } = parts;
        let (reporter, reports) = flume::bounded(REPORTS_MAX);
        let recorder = Recorder {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            herald: Arc::clone(&herald),
            stop: owner.stop.clone(),
        };
        let sender = Sender {
            client,
            clock: Arc::clone(&clock),
            chance,
            schedule: settings.schedule.clone(),
            timeout: settings.timeout,
        };
        Self {
            debts: store.wake().debts(),
            upkeep: Arc::new(Upkeep::new(Arc::clone(&store), keys, Arc::clone(&clock), Arc::clone(&holder))),
            sender: Arc::new(sender),
            store,
            clock,
            owner,
            settings,
            herald,
            recorder,
            holder,
            book: Arc::default(),
            nodes: 1,
            lanes: HashMap::new(),
            line: VecDeque::new(),
            due: BTreeSet::new(),
            paced: BTreeSet::new(),
            under_way: 0,
            unrecorded: Vec::new(),
            is_recording: false,
            is_looking: false,
            wants_look: true,
            look_at: Instant::now(),
            looks: 0,
            changes: 0,
            changes_known: 0,
            reports,
            reporter,
            cut: CancellationToken::new(),
        }
    }

    async fn run(mut self) {
        self.herald.attend(Arc::clone(&self.holder));
        let stop = self.owner.stop.clone();
        loop {
            self.turn();
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(debts) = self.debts.recv_async() => self.take_debts(debts),
                Ok(report) = self.reports.recv_async() => self.take_report(report),
                () = tokio::time::sleep(self.pause()) => {}
            }
            self.gather();
        }
        self.drain().await;
    }

    /// Takes in what waits, as far as one turn goes.
    fn gather(&mut self) {
        for debts in self.debts.try_iter().take(TURN_MAX).collect::<Vec<_>>() {
            self.take_debts(debts);
        }
        for report in self.reports.try_iter().take(TURN_MAX).collect::<Vec<_>>() {
            self.take_report(report);
        }
        if self.store.wake().take_debts_missed() {
            self.lanes.values_mut().for_each(Lane::spill);
            self.wants_look = true;
        }
    }

    /// Does what follows from it.
    fn turn(&mut self) {
        self.look();
        self.take_due();
        self.send();
        self.record();
    }

    fn pause(&self) -> Duration {
        let look = self.look_at.saturating_duration_since(Instant::now());
        let first = [self.due.first(), self.paced.first()].into_iter().flatten().map(|(at, _)| *at).min();
        let due = first.map(|at| (at - self.clock.now()).max(0) as u64);
        due.map_or(look, |ms| look.min(Duration::from_millis(ms)))
    }

    fn take_debts(&mut self, debts: Debts) {
        self.wants_look |= debts.nudged || debts.webhooks_changed;
        self.changes += u64::from(debts.webhooks_changed);
        for delivery in debts.deliveries {
            if delivery.holder == self.holder {
                self.wants_look |= !self.book.targets.contains_key(&delivery.webhook_id);
                self.lane(&delivery.webhook_id).push(Job::new(&delivery));
                self.enlist(&delivery.webhook_id);
            }
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Ended(outcome) => self.ended(*outcome),
            Report::Recorded { batch, is_written } => self.recorded(batch, is_written),
            Report::Read { webhook, found, limit } => {
                let is_read = found.is_some();
                self.lane(&webhook).read(found, limit);
                self.enlist(&webhook);
                // What could not be read is tried again after the next look.
                if is_read {
                    self.read_if_wanted(&webhook);
                }
            }
            Report::Looked(look, changes) => self.looked(look, changes),
        }
    }

    fn ended(&mut self, outcome: Outcome) {
        let is_good = outcome.verdict == Verdict::Delivered;
        self.under_way -= 1;
        let webhook = outcome.job.webhook_id.clone();
        self.lane(&webhook).ended(is_good);
        self.enlist(&webhook);
        measure(&outcome, is_good);
        self.unrecorded.push(outcome);
    }

    fn recorded(&mut self, batch: Vec<Outcome>, is_written: bool) {
        self.is_recording = false;
        for outcome in batch {
            let webhook = &outcome.job.webhook_id;
            if is_written {
                self.lane(webhook).recorded(&outcome.job.id);
                self.read_if_wanted(webhook);
            }
            if self.book.targets.get(webhook).is_some_and(|target| target.is_ordered) {
                // Whoever waited for it may be next.
                self.due.insert((self.clock.now(), webhook.clone()));
            }
            if let Some(at) = again_at(&outcome) {
                self.due.insert((at, webhook.clone()));
            }
        }
    }

    fn looked(&mut self, look: Result<Look, Error>, changes: u64) {
        self.is_looking = false;
        self.looks += 1;
        let look = match look {
            Ok(look) => look,
            Err(cause) => {
                tracing::debug!(
                    error = &cause as &dyn std::error::Error,
                    "what is owed could not be looked at"
                );
                return;
            }
        };
        self.changes_known = changes;
        self.nodes = look.nodes;
        if let Some(book) = look.book {
            self.book = Arc::new(book);
            self.tidy();
        }
        self.tell_ages(&look.owed);
        for (webhook, due_at) in look.owed {
            if let Some(due_at) = due_at {
                self.due.insert((due_at, webhook.clone()));
            }
            // A commit whose answer was lost owes something that nobody was told of.
            let is_time = self.looks.is_multiple_of(LOOKS_PER_CHECK);
            let lane = self.lane(&webhook);
            if is_time || lane.is_idle() {
                lane.spill();
            }
            self.read_if_wanted(&webhook);
        }
    }

    /// Says how long each webhook's longest waiting delivery has been due.
    fn tell_ages(&self, owed: &[(WebhookId, Option<Millis>)]) {
        let on_disk: HashMap<&WebhookId, Millis> =
            owed.iter().filter_map(|(webhook, due_at)| Some((webhook, (*due_at)?))).collect();
        let now = self.clock.now();
        for webhook in self.book.targets.keys() {
            let waiting = self.lanes.get(webhook).and_then(Lane::waiting_since);
            let since = [waiting, on_disk.get(webhook).copied()].into_iter().flatten().min();
            let age_s = since.map_or(0.0, |since| (now - since).max(0) as f64 / 1_000.0);
            let label = webhook.as_str().to_owned();
            metrics::gauge!("openevent_webhook_queue_age_seconds", "webhook" => label).set(age_s);
        }
    }

    /// Goes by a new book: lets go of what is not to be sent any more, and lines up what waited for it.
    fn tidy(&mut self) {
        let waiting: Vec<WebhookId> = self.lanes.keys().cloned().collect();
        for webhook in waiting {
            let target = self.book.targets.get(&webhook).cloned();
            let lane = self.lane(&webhook);
            match target {
                // The look let go of it on disk or held it there, or the next one will.
                None => drop(lane.retain(|_| false)),
                Some(target) if target.is_active() => {}
                Some(_) => drop(lane.retain(Job::is_test)),
            }
            self.enlist(&webhook);
        }
    }

    fn lane(&mut self, webhook: &WebhookId) -> &mut Lane {
        let window_max = self.settings.attempts_per_webhook_max;
        // Not `entry`: an id is cloned once a webhook, not once a delivery.
        if !self.lanes.contains_key(webhook) {
            self.lanes.insert(webhook.clone(), Lane::new(window_max));
        }
        self.lanes.entry(webhook.clone()).or_insert_with(|| Lane::new(window_max))
    }

    /// Puts a lane in the line, if it has something to send.
    fn enlist(&mut self, webhook: &WebhookId) {
        let Some(lane) = self.lanes.get_mut(webhook) else { return };
        if lane.can_start() && !lane.is_in_line {
            lane.is_in_line = true;
            self.line.push_back(webhook.clone());
        }
    }

    /// Sends one of each lane in turn, as long as there is room.
    fn send(&mut self) {
        if self.changes_known < self.changes {
            // Whoever changed a webhook was answered: nothing goes out by the old state any more.
            return;
        }
        while self.under_way < self.settings.attempts_max && self.unrecorded.len() < UNRECORDED_MAX {
            let Some(webhook) = self.line.pop_front() else { return };
            let target = self.book.targets.get(&webhook).cloned();
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            lane.is_in_line = false;
            // Lined up again when a book has it.
            let Some(target) = target.filter(|target| target.is_signable()) else { continue };
            if !target.is_active() && lane.retain(Job::is_test) {
                self.wants_look = true;
            }
            let now = self.clock.now();
            lane.keep_to(target.pace.among(self.nodes));
            if let Some(at) = lane.too_early(now) {
                self.paced.insert((at, webhook));
                continue;
            }
            let Some(job) = lane.start(now) else { continue };
            self.under_way += 1;
            self.attempt(job, target);
            self.enlist(&webhook);
            self.read_if_wanted(&webhook);
        }
    }

    fn attempt(&self, job: Job, target: Arc<Target>) {
        let (sender, reporter) = (Arc::clone(&self.sender), self.reporter.clone());
        let attempt = async move {
            let outcome = sender.send(job, &target).await;
            // Nobody listens when the dispatcher is gone: then the delivery is sent again.
            let _ = reporter.send_async(Report::Ended(Box::new(outcome))).await;
        };
        self.owner.tasks.spawn(self.cut.clone().run_until_cancelled_owned(attempt));
    }

    /// Lanes for whom something on disk has come due.
    fn take_due(&mut self) {
        let now = self.clock.now();
        while let Some((_, webhook)) = self.paced.first().filter(|(at, _)| *at <= now).cloned() {
            self.paced.pop_first();
            self.enlist(&webhook);
        }
        while let Some((at, webhook)) = self.due.first().cloned() {
            if at > now {
                return;
            }
            self.due.pop_first();
            self.lane(&webhook).due_at = Some(at);
            self.read_if_wanted(&webhook);
        }
    }

    fn read_if_wanted(&mut self, webhook: &WebhookId) {
        let now = self.clock.now();
        let Some(lane) = self.lanes.get_mut(webhook) else { return };
        let Some(limit) = lane.wants_to_read(now) else { return };
        let takes = lane.due_at.is_some();
        lane.begin_reading();
        let (store, holder, webhook) = (Arc::clone(&self.store), Arc::clone(&self.holder), webhook.clone());
        let reporter = self.reporter.clone();
        self.owner.tasks.spawn(async move {
            let read = async {
                if takes {
                    store.take_deliveries(&holder, &webhook, now, TAKEN_AT_ONCE).await?;
                }
                store.deliveries_in_hand(&holder, &webhook, limit).await
            };
            let found = match read.await {
                Ok(found) => Some(found.into_iter().map(Job::stored).collect()),
                Err(cause) => {
                    tracing::debug!(
                        error = &cause as &dyn std::error::Error,
                        "what is owed could not be read"
                    );
                    None
                }
            };
            let _ = reporter.send_async(Report::Read { webhook, found, limit }).await;
        });
    }

    fn look(&mut self) {
        if self.is_looking || !(self.wants_look || self.look_at <= Instant::now()) {
            return;
        }
        self.wants_look = false;
        self.is_looking = true;
        self.look_at = Instant::now() + self.settings.look_every;
        let changes = self.changes;
        let (upkeep, book, reporter) =
            (Arc::clone(&self.upkeep), Arc::clone(&self.book), self.reporter.clone());
        self.owner.tasks.spawn(async move {
            let look = upkeep.look(book.stamp, &book).await;
            let _ = reporter.send_async(Report::Looked(look, changes)).await;
        });
    }

    /// Has written down what gathered while the last was written.
    fn record(&mut self) {
        if self.is_recording || self.unrecorded.is_empty() {
            return;
        }
        self.is_recording = true;
        let count = self.unrecorded.len().min(RECORDED_AT_ONCE);
        let batch: Vec<Outcome> = self.unrecorded.drain(..count).collect();
        let (recorder, reporter) = (self.recorder.clone(), self.reporter.clone());
        self.owner.tasks.spawn(async move {
            let is_written = recorder.record(&batch).await;
            let _ = reporter.send_async(Report::Recorded { batch, is_written }).await;
        });
    }

    /// Lets what is under way end and writes it down, then gives the rest back.
    async fn drain(mut self) {
        self.herald.attend(Arc::from(""));
        let patience = self.settings.drain;
        let ending = async {
            while self.under_way > 0 || self.is_recording || !self.unrecorded.is_empty() {
                self.record();
                let Ok(report) = self.reports.recv_async().await else { break };
                if matches!(report, Report::Ended(_) | Report::Recorded { .. }) {
                    self.take_report(report);
                }
            }
        };
        let is_done = tokio::time::timeout(patience, ending).await.is_ok();
        self.cut.cancel();
        if !is_done {
            tracing::info!(attempts = self.under_way, "attempts were cut off; they are made again");
        }
        if let Err(cause) = self.upkeep.end().await {
            tracing::debug!(
                error = &cause as &dyn std::error::Error,
                "deliveries in hand could not be given back"
            );
        }
    }
}

fn measure(outcome: &Outcome, is_good: bool) {
    let word = if is_good { "delivered" } else { "failed" };
    let webhook = outcome.job.webhook_id.as_str().to_owned();
    let labels = [("webhook", webhook.clone()), ("outcome", word.to_owned())];
    metrics::counter!("openevent_delivery_attempts_total", &labels).increment(1);
    let seconds = outcome.attempt.duration_ms as f64 / 1_000.0;
    metrics::histogram!("openevent_delivery_duration_seconds", "webhook" => webhook).record(seconds);
    tracing::debug!(
        delivery.id = %outcome.job.id,
        webhook.id = %outcome.job.webhook_id,
        attempt.n = outcome.attempt.n,
        http.status = outcome.attempt.status,
        duration_ms = outcome.attempt.duration_ms,
        "attempt"
    );
}
