//! Batches of signals.
//!
//! Invariant: one commit for all that is acceptable. An item that came before is acknowledged as it was then.
//! Not here: a single signal, and what both have in common (see the parent).

use super::{QUEUED, Started, admit, count, is_repeated, known, remember, started, started_before};
use crate::app::intake::Arrival;
use crate::face::idempotency::Guard;
use crate::face::problem::{FieldIssue, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use http::StatusCode;
use openevent_domain::ambient::Millis;
use openevent_domain::id::SignalId;
use openevent_domain::tenant::Tenant;
use openevent_engine::Admitted;
use openevent_store::{Error, WriteSet};
use serde_json::{Value, json};
use std::collections::HashMap;

/// How often a batch is tried again because a sender repeated one of its events meanwhile.
const ATTEMPTS_MAX: u32 = 3;

/// Takes many signals in, in one commit. Each item is accepted or refused for itself; when none is
/// acceptable the whole request is refused.
pub async fn accept_batch(
    app: &App,
    tenant: &Tenant,
    items: Vec<Result<Arrival, Vec<FieldIssue>>>,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let batch = Batch::of(app, tenant, &items, now).await?;
        if batch.accepted() == 0 && !items.is_empty() {
            return Err(Problem::signal(batch.refused()));
        }
        let reply = batch.reply();
        let mut set = batch.set;
        guard.remember(&mut set, &reply);
        match app.store.submit(set).await {
            Ok(()) => {
                batch.admitted.iter().for_each(count);
                return Ok(reply);
            }
            Err(error) if is_repeated(&error) && attempt < ATTEMPTS_MAX => {
                if let Ok(first) = guard.settle(&app.store, error).await {
                    return Ok(first);
                }
            }
            Err(error) => return guard.settle(&app.store, error).await,
        }
    }
}

/// Takes many signals in, in one commit, for somebody who is no client: each is accepted or refused for itself, and
/// an error means that none was taken.
pub async fn take_in(
    app: &App,
    tenant: &Tenant,
    arrivals: Vec<Arrival>,
    now: Millis,
) -> Result<Vec<Taken>, Error> {
    let items: Vec<_> = arrivals.into_iter().map(Ok).collect();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let batch = Batch::of(app, tenant, &items, now).await?;
        match app.store.submit(batch.set).await {
            Ok(()) => {
                batch.admitted.iter().for_each(count);
                return Ok(batch.taken);
            }
            Err(error) if is_repeated(&error) && attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

/// What became of one item of a batch.
#[derive(Clone, Debug)]
pub enum Taken {
    /// It is a signal, with the runs it started.
    New(SignalId, Vec<Started>),
    /// It came before, here or earlier, and became this signal then.
    Repeated(SignalId, Vec<Started>),
    /// It is none.
    Refused(Vec<FieldIssue>),
}

struct Batch {
    set: WriteSet,
    admitted: Vec<Admitted>,
    taken: Vec<Taken>,
}

impl Batch {
    async fn of(
        app: &App,
        tenant: &Tenant,
        items: &[Result<Arrival, Vec<FieldIssue>>],
        now: Millis,
    ) -> Result<Self, Error> {
        let mut batch = Self { set: WriteSet::new(), admitted: Vec::new(), taken: Vec::new() };
        let mut seen = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let arrival = match item {
                Ok(arrival) => arrival,
                Err(issues) => {
                    batch.taken.push(Taken::Refused(issues.clone()));
                    continue;
                }
            };
            if let Some(origin) = &arrival.origin {
                if let Some(first) = seen.get(&origin.key()) {
                    let first: &Taken = &batch.taken[*first];
                    batch.taken.push(first.again());
                    continue;
                }
                if let Some(event_id) = known(app, tenant, origin, now).await? {
                    let runs = started_before(app, tenant, &event_id).await?;
                    batch.taken.push(Taken::Repeated(SignalId::trusted(event_id), runs));
                    continue;
                }
            }
            match admit(app, arrival.draft.clone(), now) {
                Err(issues) => batch.taken.push(Taken::Refused(issues)),
                Ok(admitted) => {
                    if let Some(origin) = &arrival.origin {
                        remember(&mut batch.set, tenant, origin, &admitted, now);
                        seen.insert(origin.key(), index);
                    }
                    batch.accept(admitted);
                }
            }
        }
        Ok(batch)
    }

    fn accept(&mut self, admitted: Admitted) {
        admitted.write(&mut self.set);
        self.taken.push(Taken::New(admitted.signal.id.clone(), started(&admitted)));
        self.admitted.push(admitted);
    }

    fn accepted(&self) -> usize {
        self.taken.iter().filter(|taken| !matches!(taken, Taken::Refused(_))).count()
    }

    /// The issues of all items, each with its item's place.
    fn refused(self) -> Vec<FieldIssue> {
        let issues = self.taken.into_iter().enumerate().flat_map(|(index, taken)| match taken {
            Taken::Refused(issues) => issues
                .into_iter()
                .map(|issue| FieldIssue::new(format!("events.{index}.{}", issue.field), issue.issue))
                .collect(),
            Taken::New(..) | Taken::Repeated(..) => Vec::new(),
        });
        issues.collect()
    }

    fn reply(&self) -> Reply {
        let (accepted, results) = (self.accepted(), self.taken.iter().enumerate());
        let results: Vec<Value> = results.map(|(index, taken)| taken.shown(index)).collect();
        let data = json!({"accepted": accepted, "rejected": results.len() - accepted, "results": results});
        Reply::whole(StatusCode::ACCEPTED, &json!({"success": true, "message": QUEUED, "data": data}))
    }
}

impl Taken {
    /// The same item once more.
    fn again(&self) -> Self {
        match self {
            Self::New(event_id, runs) => Self::Repeated(event_id.clone(), runs.clone()),
            other => other.clone(),
        }
    }

    /// As the answer to a batch has it.
    fn shown(&self, index: usize) -> Value {
        match self {
            Self::New(event_id, runs) => {
                json!({"index": index, "success": true, "event_id": event_id, "runs": runs})
            }
            Self::Repeated(event_id, runs) => {
                json!({"index": index, "success": true, "event_id": event_id, "runs": runs, "duplicate": true})
            }
            Self::Refused(issues) => {
                let error =
                    json!({"code": "validation_error", "message": "Invalid event format", "details": issues});
                json!({"index": index, "success": false, "error": error})
            }
        }
    }
}
