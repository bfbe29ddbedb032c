//! The time of a request: read once in the gate, carried along.
//!
//! Invariant: everything one request writes has one time.
//! Not here: the clock.

use super::problem::Problem;
use axum::extract::FromRequestParts;
use http::request::Parts;
use openevent_domain::ambient::Millis;

/// When the request arrived, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Millis);

/// The gate did not run before a handler: a bug in the router.
#[derive(Debug, thiserror::Error)]
#[error("a request came past the gate")]
pub(crate) struct PastTheGate;

impl<S: Sync> FromRequestParts<S> for Moment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| Problem::internal(PastTheGate))
    }
}
