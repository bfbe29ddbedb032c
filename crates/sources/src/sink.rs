//! Where messages go.
//!
//! Invariant: an answer without an error means that everything it accepts is on disk.
//! Not here: any implementation.

use crate::message::Message;
use std::fmt::Debug;
use std::pin::Pin;

/// The answer of a [`Sink`], while it is worked out: a verdict on each message, in the order they were given.
pub type Taking<'a> = Pin<Box<dyn Future<Output = Result<Vec<Verdict>, SinkError>> + Send + 'a>>;

/// Who makes signals of messages.
pub trait Sink: Send + Sync + Debug {
    /// Takes a batch, in one commit.
    fn take(&self, batch: Vec<Message>) -> Taking<'_>;
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is a signal now.
    Accepted,
    /// It became one when it was handed over before.
    Repeated,
    /// It will never be one, and why.
    Refused(String),
}

/// Nothing of a batch was taken; the same batch may be taken later.
#[derive(Debug, thiserror::Error)]
#[error("the messages could not be stored")]
pub struct SinkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
