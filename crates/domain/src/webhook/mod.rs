//! Webhooks out: what they listen to, where they go, how they are signed and how patient we are.
//!
//! Invariant: pure. What is decided here is the same on every node and at every repetition.
//! Not here: rows, sockets, who may manage them.

mod body;
mod headers;
mod id;
mod pattern;
mod schedule;
mod secret;
mod target;

pub use body::body;
pub use headers::headers;
pub use id::DeliveryId;
pub use pattern::{BadPattern, Pattern};
pub use schedule::{BadSchedule, RETRY_AFTER_MS_MAX, Schedule, Verdict, retry_after};
pub use secret::{SECRET_PREFIX, Signer, mint_secret};
pub use target::{BadTarget, TargetUrl};

/// Consecutive failed attempts after which a webhook is disabled.
pub const FAILURES_MAX: i64 = 5;
/// What is told when a webhook is disabled.
pub const DISABLED: &str = "webhook.disabled";
/// What a test delivery is called.
pub const TEST: &str = "webhook.test";
