//! The kit keeps its own promises.
//!
//! Invariant: as in the kit, loopback only and no sleeping.
//! Not here: `BadReceiver`, which the egress tests put through all its ways.

mod chaos_proxy;
mod databases;
mod receiver;
mod server_process;

use openevent_testkit::FakeClock;

#[test]
fn clones_of_a_clock_show_the_same_time() {
    let clock = FakeClock::at(1_000);
    let other = clock.clone();

    assert_eq!(clock.advance(500), 1_500);
    assert_eq!(other.now_ms(), 1_500);
    other.set(0);
    assert_eq!(clock.now_ms(), 0);
}
