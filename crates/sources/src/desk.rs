//! The desk every reader hands its letters over at.
//!
//! Invariant: whatever passes is counted once, by what became of it; a letter that is refused is logged, without what
//! it says.
//! Not here: servers, acknowledgements.

use crate::error::Error;
use crate::message::Letter;
use crate::pause::Pause;
use crate::sink::{Sink, Verdict};
use metrics::{Counter, counter};
use openevent_domain::ambient::{Chance, Clock};
use openevent_domain::id::uuid_v7;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// Letters that are handed over together, in one commit.
pub(crate) const BATCH_MAX: usize = 100;
/// Letters that may wait to be handed over when their server keeps none.
const WAITING_MAX: usize = 10_000;

/// See the module.
#[derive(Clone)]
pub(crate) struct Desk {
    source: Arc<str>,
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    accepted: Counter,
    repeated: Counter,
    refused: Counter,
    dropped: Counter,
    is_connected: Arc<AtomicBool>,
}

impl Desk {
    pub(crate) fn new(
        source: &str,
        sink: Arc<dyn Sink>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Self {
        let count = |outcome: &'static str| counter!("openevent_source_messages_total", "source" => source.to_owned(), "outcome" => outcome);
        Self {
            source: source.into(),
            sink,
            clock,
            chance,
            accepted: count("accepted"),
            repeated: count("repeated"),
            refused: count("refused"),
            dropped: count("dropped"),
            is_connected: Arc::default(),
        }
    }

    /// What the source is called.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// An id for a letter that brings none. Its server gives it out once, so it is new every time.
    pub(crate) fn mint(&self) -> String {
        uuid_v7(self.clock.now(), self.chance.as_ref()).to_string()
    }

    /// Notes that a part of the source is being read.
    pub(crate) fn connected(&self, part: &str) {
        self.is_connected.store(true, Ordering::Relaxed);
        tracing::info!(source.name = self.source(), part, "a source is read");
    }

    /// Whether that was so since the last call.
    pub(crate) fn was_connected(&self) -> bool {
        self.is_connected.swap(false, Ordering::Relaxed)
    }

    /// Hands letters over. Once this is well they may be acknowledged, all of them.
    pub(crate) async fn hand_over(&self, letters: &[Letter]) -> Result<(), Error> {
        let messages: Vec<_> = letters.iter().filter_map(Letter::message).collect();
        let verdicts = if messages.is_empty() { Vec::new() } else { self.sink.take(messages).await? };
        let mut verdicts = verdicts.into_iter();
        let mut refusals = Refusals::default();
        for letter in letters {
            let refusal = match &letter.content {
                Err(unfit) => Some(unfit.to_string()),
                Ok(_) => match verdicts.next() {
                    Some(Verdict::Refused(reason)) => Some(reason),
                    Some(Verdict::Repeated) => {
                        self.repeated.increment(1);
                        None
                    }
                    Some(Verdict::Accepted) | None => {
                        self.accepted.increment(1);
                        None
                    }
                },
            };
            if let Some(reason) = refusal {
                self.refused.increment(1);
                refusals.add(letter, reason);
            }
        }
        refusals.tell(self.source());
        Ok(())
    }

    /// Where letters wait that their server does not keep.
    pub(crate) fn tray(&self) -> (Tray, flume::Receiver<Letter>) {
        let (room, waiting) = flume::bounded(WAITING_MAX);
        (Tray { desk: self.clone(), room, is_full: false }, waiting)
    }

    /// Hands over what waits, until nobody can put anything into the tray any more. While the sink fails it is asked
    /// again; once `round` is over, no more than once.
    pub(crate) async fn empty(&self, waiting: flume::Receiver<Letter>, round: &CancellationToken) {
        while let Ok(first) = waiting.recv_async().await {
            let mut letters = vec![first];
            letters.extend(waiting.try_iter().take(BATCH_MAX - 1));
            if let Err(cause) = self.insist(&letters, round).await {
                let lost = letters.len() + waiting.drain().count();
                self.dropped.increment(lost as u64);
                tracing::error!(
                    source.name = self.source(),
                    lost,
                    error = &cause as &dyn std::error::Error,
                    "messages were lost: they could not be stored, and their server does not keep them"
                );
            }
        }
    }

    async fn insist(&self, letters: &[Letter], round: &CancellationToken) -> Result<(), Error> {
        let mut pause = Pause::default();
        loop {
            let is_last = round.is_cancelled();
            match self.hand_over(letters).await {
                Ok(()) => return Ok(()),
                Err(cause) if is_last => return Err(cause),
                Err(cause) => {
                    let pause = pause.next();
                    tracing::warn!(
                        source.name = self.source(),
                        error = &cause as &dyn std::error::Error,
                        again_ms = pause.as_millis() as u64,
                        "messages of a source wait"
                    );
                    round.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
            }
        }
    }
}

/// Takes in letters that their server does not keep.
pub(crate) struct Tray {
    desk: Desk,
    room: flume::Sender<Letter>,
    is_full: bool,
}

impl Tray {
    /// Puts a letter in. One that does not fit is lost, and counted.
    pub(crate) fn put(&mut self, letter: Letter) {
        let was_full = std::mem::replace(&mut self.is_full, self.room.try_send(letter).is_err());
        if self.is_full {
            self.desk.dropped.increment(1);
        }
        if self.is_full && !was_full {
            tracing::error!(
                source.name = self.desk.source(),
                waiting = WAITING_MAX,
                "messages are lost: too many wait to be stored, and their server does not keep them"
            );
        }
    }
}

/// Refused letters of one batch; one line in the log, however many they are.
#[derive(Default)]
struct Refusals<'a> {
    count: usize,
    first: Option<(&'a Letter, String)>,
}

impl<'a> Refusals<'a> {
    fn add(&mut self, letter: &'a Letter, reason: String) {
        self.count += 1;
        self.first.get_or_insert((letter, reason));
    }

    fn tell(self, source: &str) {
        let Some((letter, reason)) = self.first else { return };
        tracing::warn!(
            source.name = source,
            refused = self.count,
            channel = letter.channel,
            message.id = letter.id,
            reason,
            "messages can never become signals and are acknowledged; the first of them is told"
        );
    }
}
