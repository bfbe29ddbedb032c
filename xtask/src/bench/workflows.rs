//! The definitions and the signals that the scenarios use.
//!
//! Invariant: every definition is valid DSL 1.0 and is started by exactly one signal name.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::wire::{self, Credential};

/// A name nobody listens to.
pub(crate) const UNHEARD: &str = "bench.order.created";
/// Most signals that one batch may hold.
pub(crate) const BATCH_MAX: u64 = 1_000;

/// A workflow `name`, started by the signal `bench.start.{name}`, with the given tasks.
fn definition(name: &str, tasks: &str) -> String {
    format!(
        "document:\n  dsl: '1.0.0'\n  namespace: bench\n  name: {name}\n  version: '1.0.0'\n\
         schedule:\n  on:\n    one:\n      with:\n        type: {}\ndo:\n{tasks}",
        starter(name)
    )
}

/// The signal that starts the workflow `name`.
pub(crate) fn starter(name: &str) -> String {
    format!("bench.start.{name}")
}

/// One `set` task: the cheapest run there is.
pub(crate) fn set(name: &str) -> String {
    definition(name, "  - mark:\n      set:\n        done: true\n")
}

/// `calls` HTTP calls, one after the other.
pub(crate) fn calls(name: &str, calls: u32, receiver: SocketAddr) -> String {
    let mut tasks = String::new();
    for number in 1..=calls {
        let _never = write!(
            tasks,
            "  - call{number}:\n      call: http\n      with:\n        method: post\n        \
             endpoint: http://{receiver}/hook\n        body:\n          number: {number}\n"
        );
    }
    definition(name, &tasks)
}

/// A run that waits for a day.
pub(crate) fn parked(name: &str) -> String {
    definition(name, "  - park:\n      wait: P1D\n")
}

fn signal(name: &str, number: u64) -> String {
    format!(
        "{{\"name\":\"{name}\",\"payload\":{{\"orderId\":\"ord_{number:012}\",\"customer\":\"cus_{:08}\",\
         \"amount\":{}.50,\"currency\":\"EUR\",\"items\":[{{\"sku\":\"A-1\",\"quantity\":2}}]}}}}",
        number % 9_973,
        number % 500
    )
}

/// A few different single signals, to be sent in turn to `path`.
pub(crate) fn singles(addr: SocketAddr, path: &str, credential: &Credential, name: &str) -> Vec<Vec<u8>> {
    (0..64).map(|number| wire::post(addr, path, credential, &signal(name, number))).collect()
}

/// One request that carries `count` signals.
pub(crate) fn batch(addr: SocketAddr, credential: &Credential, name: &str, count: u64) -> Vec<u8> {
    let signals: Vec<String> = (0..count.min(BATCH_MAX)).map(|number| signal(name, number)).collect();
    let body = format!("{{\"events\":[{}]}}", signals.join(","));
    wire::post(addr, "/api/v1/events/batch", credential, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_and_batches_are_json() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let bytes = batch(addr, &Credential::DevToken, "x.y", 3);
        let text = String::from_utf8(bytes).expect("text");
        let body = text.split("\r\n\r\n").nth(1).expect("a body");
        let document: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(document["events"].as_array().map(Vec::len), Some(3));
        assert_eq!(document["events"][2]["payload"]["orderId"], "ord_000000000002");
    }

    #[test]
    fn a_definition_names_its_signal_and_indents_its_tasks() {
        let text = calls("five", 5, SocketAddr::from(([127, 0, 0, 1], 9)));
        assert!(
            text.contains("        type: bench.start.five\ndo:\n  - call1:\n      call: http\n"),
            "{text}"
        );
        assert!(text.contains("  - call5:\n"));
    }
}
