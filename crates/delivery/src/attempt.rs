//! One attempt: sign, send, say what came of it.
//!
//! Invariant: timestamp and signature are fresh, body and id are not; redirects are not followed, and of an answer a
//! kilobyte is kept.
//! Not here: who may be connected to (`egress`), what follows (`domain::webhook::Schedule`).

use crate::book::Target;
use crate::job::Job;
use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::webhook::{Schedule, Verdict, headers, retry_after};
use openevent_egress::{Bytes, Client, Error, OverLimit, ProxyFault, Redirects, Request, Response};
use openevent_store::deliveries::Attempt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of an answer that are kept.
const KEPT_BYTES: usize = 1_024;
/// Bytes of an answer that are read before it counts as a failure.
const ANSWER_BYTES_MAX: usize = 256 * 1_024;

/// What attempts need.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) schedule: Schedule,
    pub(crate) timeout: Duration,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) job: Job,
    pub(crate) attempt: Attempt,
    pub(crate) verdict: Verdict,
    pub(crate) ended_at: Millis,
    /// Whether it counts for the webhook: not when it was a test, there was nothing to send, or our own proxy failed us.
    pub(crate) counts: bool,
}

impl Sender {
    /// Makes the attempt.
    pub(crate) async fn send(&self, job: Job, target: &Target) -> Outcome {
        let (at, began) = (self.clock.now(), Instant::now());
        let mut counts = !job.is_test() && !job.is_gone();
        let answered = match job.body() {
            Some(body) => {
                let answered = self.client.send(self.request(&job, target, body.into(), at)).await;
                counts &= !answered.as_ref().is_err_and(is_ours);
                answered.map_err(words)
            }
            None => Err("the signal is older than the retention and is gone".to_owned()),
        };
        let duration_ms = began.elapsed().as_millis() as i64;
        let ended_at = self.clock.now();
        let status = answered.as_ref().ok().map(|answer| answer.status);
        let asked = answered.as_ref().ok().and_then(|answer| answer.header("retry-after"));
        let asked = asked.and_then(|header| retry_after(header, ended_at));
        let tries = (job.tries + 1) as u32;
        let verdict = match self.schedule.judge(status, tries, asked, ended_at, self.chance.as_ref()) {
            Verdict::Again(_) if job.is_test() || job.is_gone() => Verdict::GivenUp,
            verdict => verdict,
        };
        let attempt = Attempt {
            delivery_id: job.id.clone(),
            n: job.attempts + 1,
            webhook_id: job.webhook_id.clone(),
            at,
            duration_ms,
            status,
            error: answered.as_ref().err().cloned(),
            answer: answered.ok().map(|answer| kept(&answer)).filter(|text| !text.is_empty()),
        };
        Outcome { job, attempt, verdict, ended_at, counts }
    }

    fn request(&self, job: &Job, target: &Target, body: Bytes, at: Millis) -> Request {
        Request {
            headers: headers(&job.id, &job.name, target.signers(at), &body, at),
            body,
            deadline: self.timeout,
            redirects: Redirects::Never,
            body_over_limit: OverLimit::Fail,
            response_bytes_max: Some(ANSWER_BYTES_MAX),
            ..Request::new(http::Method::POST, target.record.url.as_str())
        }
    }
}

/// The beginning of an answer as text that every database takes.
fn kept(answer: &Response) -> String {
    let start = &answer.body[..answer.body.len().min(KEPT_BYTES)];
    String::from_utf8_lossy(start).replace('\0', "\u{fffd}")
}

/// Whether it is our own proxy that failed us. What it says of a receiver may be the receiver's doing.
fn is_ours(error: &Error) -> bool {
    let Error::Proxy { fault, .. } = error else { return false };
    matches!(fault, ProxyFault::Unreachable | ProxyFault::Credentials | ProxyFault::Nonsense)
}

/// Why there was no answer, for the owner of the webhook: what went wrong, never where a name led.
fn words(error: Error) -> String {
    error.to_string().replace('\0', "\u{fffd}")
}
