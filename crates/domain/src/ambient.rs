//! Time and chance as parameters: the two things the outside world lends to a request.
//!
//! Invariant: `now` is read once per request or message, at the entrance, and handed down.
//! Not here: the real clock and the OS random source; the binary owns those.

use std::fmt::Debug;

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = i64;

/// Where the time comes from.
pub trait Clock: Send + Sync + Debug {
    /// The time now, in Unix milliseconds.
    fn now(&self) -> Millis;
}

/// Where random bytes come from. Implementations must be fit for secrets.
pub trait Chance: Send + Sync + Debug {
    /// Fills `bytes` with random data.
    fn fill(&self, bytes: &mut [u8]);
}

/// Ten random bytes, as much as a UUIDv7 needs.
pub fn ten(chance: &dyn Chance) -> [u8; 10] {
    let mut bytes = [0; 10];
    chance.fill(&mut bytes);
    bytes
}
