//! `Idempotency-Key` of a body that is read as it arrives, and never held as a whole.
//!
//! Invariant: an answer is remembered only for a body that was read to its end, under a digest of all of it.
//! Not here: bodies that are read first and decided on then (the parent). Their answer is in the commit of their effect;
//! here it follows the last commit, so what is done must do no harm when it is done twice.

use super::{Guard, Held, Stopped, key_of};
use crate::face::caller::Caller;
use crate::face::moment::{Moment, PastTheGate};
use crate::face::problem::{Code, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use axum::body::Body;
use futures::StreamExt as _;
use http::request::Parts;
use openevent_domain::api_key::hex;
use openevent_store::{Store, WriteSet};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// What was read of a body.
#[derive(Debug, Default)]
struct Seen {
    digest: Sha256,
    is_whole: bool,
}

/// Stands for one request whose body arrives; without an `Idempotency-Key` it does nothing.
#[derive(Debug)]
pub struct Arriving(Option<(Held, Arc<Mutex<Seen>>)>);

impl Arriving {
    /// Begins a request; the body that is given back is the one to read. One that was answered before is read away,
    /// to see that it is the same.
    pub async fn begin(app: &App, head: &Parts, body: Body) -> Result<(Self, Body), Stopped> {
        let (key, caller) = (key_of(&head.headers)?, head.extensions.get::<Caller>());
        let (Some(key), Some(caller)) = (key, caller) else { return Ok((Self(None), body)) };
        let moment = head.extensions.get::<Moment>();
        let Moment(now) = *moment.ok_or_else(|| Problem::internal(PastTheGate))?;
        let held = Held::begin(app, caller.tenant.clone(), key, String::new(), now)?;
        let mut digest = Sha256::new();
        for part in [head.method.as_str(), head.uri.path(), head.uri.query().unwrap_or_default()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let seen = Arc::new(Mutex::new(Seen { digest, is_whole: false }));
        let body = watched(body, Arc::clone(&seen));
        let known = app.store.recall(&held.tenant, &held.key, now).await.map_err(Problem::from)?;
        if known.is_none() {
            return Ok((Self(Some((held, seen))), body));
        }
        let mut rest = body.into_data_stream();
        while let Some(bytes) = rest.next().await {
            bytes.map_err(|_| Problem::bad_request("The body ended before it was complete"))?;
        }
        let held = seen.lock().mark(held);
        match held.recall(&app.store).await? {
            Some(reply) => Err(Stopped::Replay(reply)),
            None => {
                Err(Problem::new(Code::Conflict, "The first answer was just forgotten; send it again").into())
            }
        }
    }

    /// Remembers the answer, if the body was read to its end, and gives it.
    pub async fn finish(self, store: &Store, reply: Reply) -> Result<Reply, Problem> {
        let Self(Some((held, seen))) = self else { return Ok(reply) };
        if !seen.lock().is_whole {
            return Ok(reply);
        }
        let held = seen.lock().mark(held);
        Guard(Some(held)).commit(store, WriteSet::new(), reply).await
    }
}

impl Seen {
    /// The request with what its body was.
    fn mark(&self, mut held: Held) -> Held {
        held.fingerprint = hex(&self.digest.clone().finalize());
        held
    }
}

/// The same body, each piece of it noted.
fn watched(body: Body, seen: Arc<Mutex<Seen>>) -> Body {
    let watching = async_stream::stream! {
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            if let Ok(bytes) = &piece {
                seen.lock().digest.update(bytes);
            }
            yield piece;
        }
        seen.lock().is_whole = true;
    };
    Body::from_stream(watching)
}
