//! `Idempotency-Key`: a POST that is sent twice has one effect and one answer.
//!
//! Invariant: the answer is written in the same set as the effect. Two equal requests at once: one runs, the
//! other is told 409; across processes the store's key decides, and the loser gives the winner's answer.
//! Not here: how long answers are kept (the store's).

pub mod arriving;

use super::body::{Decode, receive};
use super::caller::{Caller, Origin};
use super::moment::{Moment, PastTheGate};
use super::problem::{Code, Problem};
use super::reply::Reply;
use crate::state::App;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use openevent_domain::ambient::Millis;
use openevent_domain::api_key::hex;
use openevent_domain::tenant::Tenant;
use openevent_store::idempotency::{Remembered, TABLE};
use openevent_store::{Error, Store, WriteSet};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key.
pub const CHARS_MAX: usize = 255;

/// The body of a POST, and the guard that makes it happen once.
#[derive(Debug)]
pub struct Once<D> {
    /// The body.
    pub body: D,
    /// Hand it the write set.
    pub guard: Guard,
}

/// Requests with a key that are being answered in this process.
#[derive(Debug, Default)]
pub struct Flights(Mutex<HashSet<(Tenant, String)>>);

/// Stands for one request; without an `Idempotency-Key` it does nothing.
#[derive(Debug)]
pub struct Guard(Option<Held>);

#[derive(Debug)]
struct Held {
    flights: Arc<Flights>,
    tenant: Tenant,
    key: String,
    fingerprint: String,
    now: Millis,
}

/// An answer as it is written down.
#[derive(Serialize, Deserialize)]
struct Stored {
    status: u16,
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// Why a handler did not run.
#[derive(Debug)]
pub enum Stopped {
    /// It ran before; this is what it answered.
    Replay(Reply),
    /// The request is refused.
    Refused(Problem),
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl IntoResponse for Stopped {
    fn into_response(self) -> Response {
        match self {
            Self::Replay(reply) => reply.into_response(),
            Self::Refused(problem) => problem.into_response(),
        }
    }
}

impl<D: Decode> FromRequest<Arc<App>> for Once<D> {
    type Rejection = Stopped;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Stopped> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let caller = request.extensions().get::<Caller>();
        let stranger = request.extensions().get::<Origin>();
        let tenant = caller.map(|caller| caller.tenant.clone()).or_else(|| stranger.map(tenant_of));
        let moment = request.extensions().get::<Moment>().copied();
        let key = key_of(request.headers())?;
        let sent = receive::<D>(request).await?;
        let guard = match (key, tenant) {
            (Some(key), Some(tenant)) => {
                let Moment(now) = moment.ok_or_else(|| Problem::internal(PastTheGate))?;
                let fingerprint = fingerprint(&method, &path, &D::identity(&sent));
                let held = Held::begin(app, tenant, key, fingerprint, now)?;
                if let Some(reply) = held.recall(&app.store).await? {
                    return Err(Stopped::Replay(reply));
                }
                Guard(Some(held))
            }
            _ => Guard(None),
        };
        Ok(Self { body: D::decode(sent)?, guard })
    }
}

impl Guard {
    /// For what is done without the header.
    pub fn none() -> Self {
        Self(None)
    }

    /// Puts the answer into the set that has the effect.
    pub fn remember(&self, set: &mut WriteSet, reply: &Reply) {
        let Some(held) = &self.0 else { return };
        let kept = reply.without_secret();
        let stored = Stored {
            status: kept.status.as_u16(),
            body: String::from_utf8_lossy(&kept.body).into_owned(),
            location: kept.location,
            etag: kept.etag,
        };
        let remembered = Remembered {
            fingerprint: held.fingerprint.clone(),
            answer: serde_json::to_string(&stored).unwrap_or_default(),
            created_at: held.now,
        };
        set.remember(&held.tenant, &held.key, &remembered);
    }

    /// Writes the effect and its answer, and gives the answer. If another process was first, gives its answer.
    pub async fn commit(self, store: &Store, mut set: WriteSet, reply: Reply) -> Result<Reply, Problem> {
        self.remember(&mut set, &reply);
        match store.submit(set).await {
            Ok(()) => Ok(reply),
            Err(error) => self.settle(store, error).await,
        }
    }

    /// The answer to a set that failed: the first answer if the key was used meanwhile, else the refusal.
    pub async fn settle(&self, store: &Store, error: Error) -> Result<Reply, Problem> {
        match (&self.0, &error) {
            (Some(held), Error::Exists { table }) if table == TABLE => {
                held.recall(store).await?.ok_or_else(|| error.into())
            }
            _ => Err(error.into()),
        }
    }
}

impl Held {
    fn begin(
        app: &App,
        tenant: Tenant,
        key: String,
        fingerprint: String,
        now: Millis,
    ) -> Result<Self, Problem> {
        if !app.flights.0.lock().insert((tenant.clone(), key.clone())) {
            let words = "A request with this Idempotency-Key is still being answered";
            return Err(Problem::new(Code::Conflict, words));
        }
        Ok(Self { flights: Arc::clone(&app.flights), tenant, key, fingerprint, now })
    }

    async fn recall(&self, store: &Store) -> Result<Option<Reply>, Problem> {
        let Some(found) = store.recall(&self.tenant, &self.key, self.now).await? else { return Ok(None) };
        if found.fingerprint != self.fingerprint {
            let words = "This Idempotency-Key was used for another request";
            return Err(Problem::new(Code::Unprocessable, words));
        }
        let stored: Stored = serde_json::from_str(&found.answer).map_err(Problem::internal)?;
        let status = StatusCode::from_u16(stored.status).map_err(Problem::internal)?;
        Ok(Some(Reply {
            status,
            body: stored.body.into(),
            location: stored.location,
            etag: stored.etag,
            secret: None,
            is_replayed: true,
        }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let flight = (
            std::mem::replace(&mut self.tenant, Tenant::trusted(String::new())),
            std::mem::take(&mut self.key),
        );
        self.flights.0.lock().remove(&flight);
    }
}

/// Keys of those without a credential are told apart by where they come from, in a place no project has.
fn tenant_of(stranger: &Origin) -> Tenant {
    let address = stranger.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    Tenant::trusted(format!("public/{address}"))
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let bytes = value.as_bytes();
    if (1..=CHARS_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(Some(String::from_utf8_lossy(bytes).into_owned()));
    }
    Err(Problem::field("Idempotency-Key", format!("must be 1 to {CHARS_MAX} visible ASCII characters")))
}

fn fingerprint(method: &Method, path: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), path.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_requests_apart() {
        let of =
            |path, body: &'static str| fingerprint(&Method::POST, path, &Bytes::from_static(body.as_bytes()));
        assert_eq!(of("/a", "b"), of("/a", "b"));
        assert_ne!(of("/a", "b"), of("/a", "c"));
        assert_ne!(of("/ab", ""), of("/a", "b"));
    }

    #[test]
    fn keys_are_short_visible_ascii() {
        let key = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IDEMPOTENCY_KEY, http::HeaderValue::from_bytes(text.as_bytes()).unwrap());
            key_of(&headers)
        };
        assert_eq!(key("order-17").unwrap().as_deref(), Some("order-17"));
        for bad in ["", "a b", &"x".repeat(256), "gr\u{fc}n"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
