//! A place that takes messages, and sources that are read into it.
//!
//! Invariant: a message counts once by its id, as with the real sink; what was handed over twice can be told.
//! Not here: servers; the testkit starts those.

use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_sources::{
    Kind, Lease, Leased, Message, Parts, Sink, SinkError, Source, Taking, Verdict, start,
};
use openevent_testkit::{PATIENCE, until};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a test does at the moment a batch has been taken, before it is acknowledged.
type Interlude = Box<dyn Fn() + Send + Sync>;

/// Takes messages.
#[derive(Default)]
pub(crate) struct Basket {
    taken: Mutex<Vec<Message>>,
    ids: Mutex<HashSet<String>>,
    repeated: AtomicUsize,
    is_closed: AtomicBool,
    turned_away: AtomicUsize,
    interlude: Mutex<Option<Interlude>>,
}

impl std::fmt::Debug for Basket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Basket of {}", self.taken.lock().len())
    }
}

impl Sink for Basket {
    fn take(&self, batch: Vec<Message>) -> Taking<'_> {
        Box::pin(async move {
            if self.is_closed.load(Ordering::SeqCst) {
                self.turned_away.fetch_add(1, Ordering::SeqCst);
                return Err(SinkError("the basket is closed".into()));
            }
            let verdicts = batch.into_iter().map(|message| self.judge(message)).collect();
            if let Some(interlude) = self.interlude.lock().take() {
                interlude();
            }
            Ok(verdicts)
        })
    }
}

impl Basket {
    fn judge(&self, message: Message) -> Verdict {
        if message.payload.contains_key("poison") {
            return Verdict::Refused("payload.poison is not wanted".to_owned());
        }
        if !self.ids.lock().insert(message.id.clone()) {
            self.repeated.fetch_add(1, Ordering::SeqCst);
            return Verdict::Repeated;
        }
        self.taken.lock().push(message);
        Verdict::Accepted
    }

    /// Refuses everything for now, as while a database is away.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// Waits until a batch was turned away.
    pub(crate) async fn is_asked(&self) {
        until("the closed basket is asked", async || {
            (self.turned_away.load(Ordering::SeqCst) > 0).then_some(())
        })
        .await;
    }

    /// Takes again.
    pub(crate) fn open(&self) {
        self.is_closed.store(false, Ordering::SeqCst);
    }

    /// Does something once, after the next batch was taken and before its source hears of it.
    pub(crate) fn at_the_next(&self, interlude: impl Fn() + Send + Sync + 'static) {
        *self.interlude.lock() = Some(Box::new(interlude));
    }

    /// How many were handed over that had been before.
    pub(crate) fn repeated(&self) -> usize {
        self.repeated.load(Ordering::SeqCst)
    }

    /// What was taken so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.taken.lock().clone()
    }

    /// Names and payloads of what was taken so far.
    pub(crate) fn told(&self) -> Vec<(String, Value)> {
        let told = |message: Message| (message.name.as_str().to_owned(), Value::Object(message.payload));
        self.messages().into_iter().map(told).collect()
    }

    /// Waits until there are so many, and returns them.
    pub(crate) async fn holds(&self, count: usize) -> Vec<(String, Value)> {
        until(&format!("the basket holds {count}"), async || {
            let told = self.told();
            (told.len() >= count).then_some(told)
        })
        .await
    }
}

/// A lease for everybody, or for whoever asks first.
#[derive(Debug, Default)]
pub(crate) struct Permit(Mutex<Option<u64>>);

/// One node's view of a [`Permit`].
#[derive(Debug)]
pub(crate) struct Holder(Arc<Permit>, u64);

impl Lease for Holder {
    fn take<'a>(&'a self, _source: &'a str) -> Leased<'a, bool> {
        Box::pin(async { *self.0.0.lock().get_or_insert(self.1) == self.1 })
    }

    fn give_back<'a>(&'a self, _source: &'a str) -> Leased<'a, ()> {
        Box::pin(async {
            self.0.0.lock().take_if(|holder| *holder == self.1);
        })
    }
}

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Millis {
        1_767_225_600_000
    }
}

/// Counts instead of drawing, all over the process: two readers never draw the same.
#[derive(Debug)]
struct Counting;

impl Chance for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().rev().zip(count.iter().rev()).for_each(|(byte, part)| *byte = *part);
    }
}

/// A node that reads one source.
pub(crate) struct Reader {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Reader {
    /// Reads into a basket, without competitors.
    pub(crate) fn start(kind: &Kind, basket: &Arc<Basket>) -> Self {
        Self::start_as(1, &Arc::default(), kind, basket)
    }

    /// Reads into a basket when this permit lets it.
    pub(crate) fn start_as(node: u64, permit: &Arc<Permit>, kind: &Kind, basket: &Arc<Basket>) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let parts = Parts {
            lease: Arc::new(Holder(Arc::clone(permit), node)),
            clock: Arc::new(Stopped),
            chance: Arc::new(Counting),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let source = Source { name: "shop".to_owned(), kind: kind.clone() };
        start(source, Arc::<Basket>::clone(basket), &parts);
        Self { tasks, stop }
    }

    /// Stops, and waits for the end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait()).await.expect("the reader ends in time");
    }
}
