//! The engine's tests once more, where a cluster drives the runs and the engine only says who begins.
//!
//! Invariant: what people see is the same; the scenarios are the very same text.
//! Not here: a real cluster (`openevent-engine-temporal`).

#[path = "../engine/calls.rs"]
mod calls;
#[path = "../engine/children.rs"]
mod children;
#[path = "../engine/clockwork.rs"]
mod clockwork;
#[path = "../engine/events.rs"]
mod events;
#[path = "../engine/faults.rs"]
mod faults;
#[path = "../engine/gates.rs"]
mod gates;
#[path = "../engine/gathering.rs"]
mod gathering;
#[path = "../engine/lifecycle.rs"]
mod lifecycle;
#[path = "../engine/long.rs"]
mod long;
#[path = "../engine/nodes.rs"]
mod nodes;
#[path = "../engine/restart.rs"]
mod restart;
#[path = "../engine/simulated.rs"]
mod simulated;
#[path = "../engine/starting.rs"]
mod starting;
#[path = "../engine/support.rs"]
mod support;

/// Whether runs are driven by a cluster rather than in this process.
const ON_A_CLUSTER: bool = true;
