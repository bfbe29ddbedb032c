//! Scenarios of the server's own suite, told once, on a Temporal cluster: what people see is the same.
//!
//! Invariant: the scenarios are the very same text as the embedded engine's.
//! Not here: what only a cluster has: nodes that die, a cluster that is away (the binary's suite).

mod driver;
mod history;

#[path = "../../../server/tests/spine/bed.rs"]
#[expect(dead_code, reason = "the bed serves more scenarios than are told here")]
mod bed;
#[path = "../../../server/tests/spine/linking.rs"]
mod linking;
#[path = "../../../server/tests/spine/own_api.rs"]
mod own_api;
#[path = "../../../server/tests/spine/runs.rs"]
mod runs;
#[path = "../../../server/tests/spine/secrets.rs"]
mod secrets;
#[path = "../../../server/tests/spine/steering.rs"]
mod steering;
#[path = "../../../server/tests/spine/waiting.rs"]
mod waiting;
