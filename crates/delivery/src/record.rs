//! Writing down what came of attempts, many at a time, and disabling webhooks that failed too often.
//!
//! Invariant: an attempt, what it made of its delivery and the count of its webhook's failures are one set. While the
//! database is away nothing is forgotten: writing is tried again until it succeeds or the server stops.
//! Not here: when to write; the dispatcher hands over what gathered while the last was written.

use crate::attempt::Outcome;
use crate::dispatcher::Herald;
use openevent_domain::ambient::{Clock, Millis};
use openevent_domain::id::WebhookId;
use openevent_domain::webhook::{DeliveryId, FAILURES_MAX, Verdict};
use openevent_store::deliveries::{Settled, Status};
use openevent_store::webhooks::Status as WebhookStatus;
use openevent_store::{Error, Store, WriteSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two tries while the database is away.
const PAUSE: Duration = Duration::from_millis(200);
/// Deliveries that are held together with the disabling; the rest follows.
pub(crate) const HELD_AT_ONCE: i64 = 1_000;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) herald: Arc<dyn Herald>,
    pub(crate) stop: CancellationToken,
}

/// What a batch did to one webhook.
#[derive(Debug, Default)]
struct Tally {
    /// Failures since the last good attempt of the batch; of all its attempts if none was good.
    trailing: i64,
    has_success: bool,
    /// The longest row of failures.
    row: i64,
    is_gone: bool,
    /// Why the last attempt failed.
    reason: String,
    /// Deliveries that have no attempts left.
    exhausted: Vec<DeliveryId>,
}

impl Recorder {
    /// Writes a batch down. Answers whether that was possible.
    pub(crate) async fn record(&self, batch: &[Outcome]) -> bool {
        let tallies = tally(batch);
        if !self.write(batch, &tallies).await {
            return false;
        }
        for (webhook, tally) in &tallies {
            if tally.trailing > 0 || tally.row >= FAILURES_MAX || tally.is_gone {
                self.disable_if_due(webhook, tally).await;
            }
        }
        true
    }

    async fn write(&self, batch: &[Outcome], tallies: &BTreeMap<WebhookId, Tally>) -> bool {
        loop {
            match self.store.submit(set_of(batch, tallies)).await {
                Ok(()) => return true,
                Err(cause) if cause.is_unavailable() => {
                    tracing::warn!(
                        error = &cause as &dyn std::error::Error,
                        "attempts cannot be written down now"
                    );
                }
                Err(cause) => {
                    // Our mistake; the deliveries stay in hand and are sent again after a restart.
                    tracing::error!(
                        error = &cause as &dyn std::error::Error,
                        "attempts could not be written down"
                    );
                    return false;
                }
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return false;
            }
        }
    }

    /// Disables a webhook if it has failed too often, keeps what is owed to it and tells whoever listens.
    async fn disable_if_due(&self, webhook: &WebhookId, tally: &Tally) {
        let mut done = self.try_disable(webhook, tally).await;
        if matches!(done, Err(Error::Missed(_))) {
            // Somebody else was first; what is left is to hold what this batch has exhausted.
            done = self.try_disable(webhook, tally).await;
        }
        if let Err(cause) = done {
            // The next failure comes back to it.
            tracing::warn!(
                webhook.id = %webhook,
                error = &cause as &dyn std::error::Error,
                "a webhook that failed too often could not be disabled yet"
            );
        }
    }

    async fn try_disable(&self, webhook: &WebhookId, tally: &Tally) -> Result<(), Error> {
        let Some(record) = self.store.any_webhook(webhook).await? else { return Ok(()) };
        let failed_too_often = record.failures >= FAILURES_MAX || tally.row >= FAILURES_MAX;
        if record.status == WebhookStatus::Active && !failed_too_often && !tally.is_gone {
            return Ok(());
        }
        let now = self.clock.now();
        let mut set = WriteSet::new();
        if record.status == WebhookStatus::Active {
            let reason = reason(tally, record.failures);
            set.disable_webhook(webhook, &reason, now);
            self.herald.disabled(&mut set, &record, &reason, now);
            tracing::info!(webhook.id = %webhook, reason, "a webhook was disabled");
        }
        set.hold_deliveries(webhook, HELD_AT_ONCE);
        tally.exhausted.iter().for_each(|id| set.hold_failed_delivery(id));
        self.store.submit(set).await
    }
}

fn reason(tally: &Tally, failures: i64) -> String {
    let last = &tally.reason;
    if tally.is_gone {
        return "the receiver answered 410: it wants no more".to_owned();
    }
    let count = failures.max(tally.row);
    format!("{count} attempts in a row failed; the last: {last}")
}

fn set_of(batch: &[Outcome], tallies: &BTreeMap<WebhookId, Tally>) -> WriteSet {
    let mut set = WriteSet::new();
    for outcome in batch {
        set.settle_delivery(&outcome.attempt, &settled(outcome));
    }
    for (webhook, tally) in tallies {
        if tally.has_success {
            set.set_webhook_failures(webhook, tally.trailing);
        } else {
            set.count_webhook_failures(webhook, tally.trailing);
        }
    }
    set
}

fn settled(outcome: &Outcome) -> Settled {
    let ended = outcome.ended_at;
    let (status, due_at, settled_at) = match outcome.verdict {
        Verdict::Delivered => (Status::Delivered, ended, Some(ended)),
        Verdict::Again(at) => (Status::Pending, at, None),
        Verdict::GivenUp | Verdict::Gone => (Status::Failed, ended, Some(ended)),
    };
    let reason = (status != Status::Delivered).then(|| why(outcome));
    Settled { status, tries: outcome.job.tries + 1, due_at, settled_at, reason }
}

fn why(outcome: &Outcome) -> String {
    match (&outcome.attempt.error, outcome.attempt.status) {
        (Some(error), _) => error.clone(),
        (None, Some(status @ 300..=399)) => format!("answered {status}; redirects are not followed"),
        (None, status) => format!("answered {}", status.unwrap_or_default()),
    }
}

/// Counts in the order the attempts ended, those that count.
fn tally(batch: &[Outcome]) -> BTreeMap<WebhookId, Tally> {
    let mut tallies: BTreeMap<WebhookId, Tally> = BTreeMap::new();
    for outcome in batch.iter().filter(|outcome| outcome.counts) {
        let tally = tallies.entry(outcome.job.webhook_id.clone()).or_default();
        if outcome.verdict == Verdict::Delivered {
            tally.has_success = true;
            tally.trailing = 0;
            continue;
        }
        tally.trailing += 1;
        tally.row = tally.row.max(tally.trailing);
        tally.is_gone |= outcome.verdict == Verdict::Gone;
        tally.reason = why(outcome);
        if matches!(outcome.verdict, Verdict::GivenUp | Verdict::Gone) {
            tally.exhausted.push(outcome.job.id.clone());
        }
    }
    tallies
}

/// When the delivery of an outcome is due again.
pub(crate) fn again_at(outcome: &Outcome) -> Option<Millis> {
    if let Verdict::Again(at) = outcome.verdict { Some(at) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Still, owe, owed, store, webhook, webhook_id};
    use crate::job::Job;
    use openevent_store::Location;
    use openevent_store::deliveries::{Attempt, Filter, OwedBody, Place};
    use openevent_store::webhooks::WebhookRecord;
    use openevent_testkit::temp_sqlite;

    /// Another node, which disables the webhook between our look and our write.
    #[derive(Debug)]
    struct Rival(Arc<Store>);

    impl Herald for Rival {
        fn attend(&self, _: Arc<str>) {}

        fn disabled(&self, _: &mut WriteSet, webhook: &WebhookRecord, reason: &str, now: Millis) {
            let mut set = WriteSet::new();
            set.disable_webhook(&webhook.id, reason, now);
            let submitted = || tokio::runtime::Handle::current().block_on(self.0.submit(set));
            tokio::task::block_in_place(submitted).expect("the rival is first");
        }
    }

    fn failed(n: usize, body: OwedBody) -> Outcome {
        let job = Job::stored(owed(n, body));
        let attempt = Attempt {
            delivery_id: job.id.clone(),
            n: 1,
            webhook_id: job.webhook_id.clone(),
            at: 5,
            duration_ms: 1,
            status: None,
            error: Some("why".into()),
            answer: None,
        };
        Outcome { job, attempt, verdict: Verdict::GivenUp, ended_at: 6, counts: true }
    }

    #[test]
    fn only_what_counts_is_held_against_a_webhook() {
        let signal = || OwedBody::Signal(0, "{}".into());
        let uncounted = |n| Outcome { counts: false, ..failed(n, signal()) };
        let mut batch: Vec<_> = (0..9).map(uncounted).collect();
        assert!(tally(&batch).is_empty());

        batch.push(failed(9, signal()));

        let tallies = tally(&batch);
        let one = &tallies[&webhook_id()];
        assert_eq!((tallies.len(), one.trailing, one.exhausted.len()), (1, 1, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_exhausted_is_held_also_when_another_node_was_first_to_disable() {
        let file = temp_sqlite();
        let store = store(Location::File(file.path())).await;
        let tenant = webhook(&store).await.tenant;
        let recorder = Recorder {
            store: Arc::clone(&store),
            clock: Arc::new(Still::default()),
            herald: Arc::new(Rival(Arc::clone(&store))),
            stop: CancellationToken::new(),
        };
        let mut batch = Vec::new();
        for n in 0..5 {
            owe(&store, n, "us").await;
            batch.push(failed(n, OwedBody::Signal(0, "{}".into())));
        }

        assert!(recorder.record(&batch).await);

        let filter = Filter { webhook_id: Some(webhook_id()), ..Filter::default() };
        let rows = store.deliveries(&tenant, &filter, Place::Offset(0), 10).await.unwrap();
        let held: Vec<_> = rows.iter().filter(|row| row.status == Status::Held).collect();
        assert_eq!((rows.len(), held.len()), (5, 5), "{rows:?}");
    }
}
