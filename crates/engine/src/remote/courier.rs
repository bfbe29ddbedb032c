//! Carries runs and news to the cluster, in the background, for as long as it takes.
//!
//! Invariant: what is carried is on disk already, so that it can be lost from here and found again; a run is noted as
//! handed over only after the cluster took it; what is told one run is told in order.
//! Not here: what is to be carried (`coordinate`).

use super::{Away, Cluster, Handover, execution};
use crate::handle::Parts;
use openevent_domain::ambient::{Clock, Millis};
use openevent_domain::id::RunId;
use openevent_flow::Input;
use openevent_store::{Error, Store, WriteSet};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Runs handed over at a time.
const RUNS_MAX: usize = 500;
/// Runs told something at a time.
const TOLD_MAX: usize = 32;
/// Inputs one message carries.
const INPUTS_MAX: usize = 100;
/// How often an idle courier asks whether the cluster is there.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The first.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// How far the cluster is behind.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// Runs it has not taken yet.
    pub(crate) runs: usize,
    /// Since when the oldest of them waits.
    pub(crate) since: Option<Millis>,
    /// News it has not taken yet.
    pub(crate) news: usize,
}

/// What one run is to be told.
#[derive(Debug)]
struct News {
    run: RunId,
    /// Looked up when it is not known.
    execution: Option<String>,
    inputs: Vec<Input>,
}

#[derive(Debug, Default)]
struct Bag {
    runs: BTreeMap<RunId, Handover>,
    news: VecDeque<News>,
    /// Taken out of `news` and not delivered yet.
    under_way: usize,
    away: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Courier {
    cluster: Arc<dyn Cluster>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    bag: Mutex<Bag>,
    runs_bell: Notify,
    news_bell: Notify,
}

impl Courier {
    pub(crate) fn start(cluster: Arc<dyn Cluster>, parts: &Parts) -> Arc<Self> {
        let owner = &parts.owner;
        let courier = Arc::new(Self {
            cluster,
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            bag: Mutex::default(),
            runs_bell: Notify::new(),
            news_bell: Notify::new(),
        });
        let (runs, news) = (Arc::clone(&courier), Arc::clone(&courier));
        owner
            .tasks
            .spawn(owner.stop.clone().run_until_cancelled_owned(async move { runs.carry_runs().await }));
        owner
            .tasks
            .spawn(owner.stop.clone().run_until_cancelled_owned(async move { news.carry_news().await }));
        courier
    }

    /// Hands runs over. One that is waiting already waits once.
    pub(crate) fn hand_over(&self, runs: Vec<Handover>) {
        if !runs.is_empty() {
            self.bag.lock().runs.extend(runs.into_iter().map(|run| (run.run.clone(), run)));
            self.runs_bell.notify_one();
        }
    }

    /// Whether a run waits to be handed over.
    pub(crate) fn holds(&self, run: &RunId) -> bool {
        self.bag.lock().runs.contains_key(run)
    }

    /// Tells a run something.
    pub(crate) fn tell(&self, run: RunId, input: Input) {
        self.push(run, None, input);
    }

    /// The same, where its name there is known.
    pub(crate) fn tell_execution(&self, run: RunId, execution: &str, input: Input) {
        self.push(run, Some(execution.to_owned()), input);
    }

    pub(crate) fn backlog(&self) -> Backlog {
        let bag = self.bag.lock();
        Backlog {
            runs: bag.runs.len(),
            since: bag.runs.values().map(|run| run.started_at).min(),
            news: bag.news.len() + bag.under_way,
        }
    }

    fn push(&self, run: RunId, execution: Option<String>, input: Input) {
        let mut bag = self.bag.lock();
        match bag.news.back_mut() {
            Some(last)
                if last.run == run && last.execution == execution && last.inputs.len() < INPUTS_MAX =>
            {
                last.inputs.push(input);
            }
            _ => bag.news.push_back(News { run, execution, inputs: vec![input] }),
        }
        drop(bag);
        self.news_bell.notify_one();
    }

    async fn carry_runs(&self) {
        let mut pause = PAUSE_MIN;
        loop {
            let batch: Vec<Handover> = self.bag.lock().runs.values().take(RUNS_MAX).cloned().collect();
            if batch.is_empty() {
                // While there is nothing to say somebody still wants to know whether it could be said.
                if tokio::time::timeout(CHECK_EVERY, self.runs_bell.notified()).await.is_err() {
                    let checked = self.cluster.check().await;
                    self.bag.lock().away = checked.err().map(|Away(words)| words);
                }
                continue;
            }
            match self.carry(&batch).await {
                Ok(()) => {
                    let mut bag = self.bag.lock();
                    for run in &batch {
                        bag.runs.remove(&run.run);
                    }
                    bag.away = None;
                    pause = PAUSE_MIN;
                }
                Err(words) => {
                    self.note_away(words);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn carry(&self, batch: &[Handover]) -> Result<(), String> {
        self.cluster.hand_over(batch.to_vec()).await.map_err(|Away(words)| words)?;
        let (mut set, now) = (WriteSet::new(), self.clock.now());
        for run in batch {
            set.hand_over(&run.run, now);
        }
        // If it cannot be noted now, all of it is handed over once more, which starts nothing twice.
        self.store.submit(set).await.map_err(|cause| cause.to_string())
    }

    async fn carry_news(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        loop {
            let batch = self.next_news();
            if batch.is_empty() {
                self.news_bell.notified().await;
                continue;
            }
            let mut telling = JoinSet::new();
            for news in batch {
                let courier = Arc::clone(&self);
                telling.spawn(async move { courier.deliver(&news).await.map_err(|words| (news, words)) });
            }
            let mut failed = Vec::new();
            while let Some(told) = telling.join_next().await {
                if let Ok(Err((news, words))) = told {
                    self.note_away(words);
                    failed.push(news);
                }
            }
            let is_well = failed.is_empty();
            self.put_back(failed);
            if is_well {
                pause = PAUSE_MIN;
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// The next news, of each run one piece: what follows for it waits.
    fn next_news(&self) -> Vec<News> {
        let mut bag = self.bag.lock();
        let mut batch: Vec<News> = Vec::new();
        let mut left = VecDeque::new();
        while let Some(news) = bag.news.pop_front() {
            if batch.len() < TOLD_MAX && !batch.iter().any(|other| other.run == news.run) {
                batch.push(news);
            } else {
                left.push_back(news);
                if batch.len() >= TOLD_MAX {
                    break;
                }
            }
        }
        left.append(&mut bag.news);
        bag.news = left;
        bag.under_way = batch.len();
        batch
    }

    /// Notes that a batch is done, but for these.
    fn put_back(&self, failed: Vec<News>) {
        let mut bag = self.bag.lock();
        for news in failed {
            bag.news.push_front(news);
        }
        bag.under_way = 0;
    }

    async fn deliver(&self, news: &News) -> Result<(), String> {
        let known = if let Some(execution) = &news.execution {
            Some(execution.clone())
        } else {
            let found = self.store.any_run(&news.run).await.map_err(|cause: Error| cause.to_string())?;
            let live = found.filter(|run| run.ended_at.is_none());
            live.map(|run| execution(&run.id, run.retries))
        };
        let Some(execution) = known else { return Ok(()) };
        // Whoever is not there any more need not be told.
        self.cluster.tell(execution, news.inputs.clone()).await.map(drop).map_err(|Away(words)| words)
    }

    fn note_away(&self, words: String) {
        let mut bag = self.bag.lock();
        if bag.away.is_none() {
            tracing::warn!(error = words, "the cluster is away; what it is owed waits");
        }
        bag.away = Some(words);
    }
}
