//! Waiting for what another process or task makes true, when nothing tells of it.
//!
//! Invariant: ends as soon as the answer is there, and fails loudly when it never comes.
//! Not here: waiting for requests ([`crate::Receiver::wait_for`]); that is told.

use crate::PATIENCE;
use std::time::Duration;
use tokio::time::{interval, timeout};

/// How often a question is asked.
const PACE: Duration = Duration::from_millis(3);

/// Asks again and again until the answer is there; panics after [`PATIENCE`], saying what never happened.
pub async fn until<T>(what: &str, question: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        let mut pace = interval(PACE);
        loop {
            pace.tick().await;
            if let Some(answer) = question().await {
                break answer;
            }
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never happened: {what}"))
}
