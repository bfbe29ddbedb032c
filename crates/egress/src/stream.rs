//! An answer without an end, piece by piece.
//!
//! Invariant: no piece is waited for longer than the request's deadline, and none is kept.
//! Not here: what the pieces mean.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::{error::Error, phase::Phase};

/// An answer whose body is still coming. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    /// The status code.
    pub status: u16,
    body: Incoming,
    patience: Duration,
}

impl Stream {
    pub(crate) fn new(answer: http::Response<Incoming>, patience: Duration) -> Self {
        Self { status: answer.status().as_u16(), body: answer.into_body(), patience }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = timeout(self.patience, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| Error::Timeout { phase: Phase::Body })? else {
                return Ok(None);
            };
            if let Ok(data) = frame.map_err(|error| Error::broken(error.into()))?.into_data() {
                return Ok(Some(data));
            }
        }
    }
}
