//! What an operator can choose of deliveries.
//!
//! Invariant: every number is a bound; none is without an end.
//! Not here: how they are written in files and variables.

use openevent_domain::webhook::Schedule;
use std::time::Duration;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Pauses between attempts.
    pub schedule: Schedule,
    /// The longest attempt, from the lookup of the name to the last byte of the answer.
    pub timeout: Duration,
    /// Attempts under way at one time, of all webhooks together.
    pub attempts_max: usize,
    /// Attempts under way at one time for one webhook.
    pub attempts_per_webhook_max: usize,
    /// Between two looks at what is owed, beside those that commits ask for.
    pub look_every: Duration,
    /// How long attempts under way may take to end when the server is to stop.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            timeout: Duration::from_secs(15),
            attempts_max: 512,
            attempts_per_webhook_max: 64,
            look_every: Duration::from_millis(500),
            drain: Duration::from_secs(3),
        }
    }
}
