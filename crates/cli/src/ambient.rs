//! The real clock and the OS random source, lent to everything below as parameters.
//!
//! Invariant: no other file of the product reads a clock or draws random bytes; a random byte is given out
//! once and wiped where it waited.
//! Not here: the traits (`domain::ambient`), and what tests use instead.

use openevent_domain::ambient::{Chance, Clock, Millis};
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Random bytes fetched from the system at once: some four hundred ids.
const POOL_BYTES: usize = 4096;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the entrance: everything below is handed its time")]
    fn now(&self) -> Millis {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as Millis,
            Err(before) => -(before.duration().as_millis() as Millis),
        }
    }
}

/// The system's random source. Every thread keeps a small pool, so that an id costs no system call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemChance;

impl Chance for SystemChance {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > POOL_BYTES {
            return from_system(bytes);
        }
        POOL.with_borrow_mut(|pool| pool.take(bytes));
    }
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES }) };
}

struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

impl Pool {
    fn take(&mut self, wanted: &mut [u8]) {
        if POOL_BYTES - self.used < wanted.len() {
            from_system(&mut self.bytes);
            self.used = 0;
        }
        let given = &mut self.bytes[self.used..self.used + wanted.len()];
        wanted.copy_from_slice(given);
        given.fill(0);
        self.used += wanted.len();
    }
}

/// # Panics
/// When the operating system has no random source. Going on without one would hand out guessable secrets.
fn from_system(bytes: &mut [u8]) {
    if let Err(cause) = getrandom::fill(bytes) {
        panic!("the operating system gives no random bytes: {cause}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_worth_of_bytes_never_repeat_across_refills() {
        let draw = || {
            let mut bytes = [0; 10];
            SystemChance.fill(&mut bytes);
            bytes
        };
        let seen: HashSet<_> = (0..10_000).map(|_| draw()).collect();
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn more_than_the_pool_holds_is_served_too() {
        let mut bytes = vec![0; POOL_BYTES * 2];
        SystemChance.fill(&mut bytes);
        assert!(bytes.iter().any(|byte| *byte != 0));
    }

    #[test]
    fn what_was_given_out_is_wiped() {
        let mut pool = Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES };
        pool.take(&mut [0; 32]);
        assert_eq!(pool.bytes[..32], [0; 32]);
    }

    #[test]
    fn the_clock_tells_a_time_of_this_century() {
        assert!((1_700_000_000_000..4_102_444_800_000).contains(&SystemClock.now()));
    }
}
