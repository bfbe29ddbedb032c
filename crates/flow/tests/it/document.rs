//! `docs/workflow-language.md` is true: its definitions are valid and do what is written beside them.

use std::path::Path;

use openevent_flow::{Concurrency, Definition, Over, Parsed, Throttle};
use serde_json::json;

/// The YAML blocks of the document, by the name of the workflow.
fn examples() -> Vec<Parsed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/workflow-language.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let parse = |block: &str| Definition::parse(block).unwrap_or_else(|issues| panic!("{issues:?}\n{block}"));
    blocks.map(parse).collect()
}

fn example(name: &str) -> Definition {
    let found = examples().into_iter().find(|parsed| parsed.definition.name() == name);
    found.unwrap_or_else(|| panic!("no example '{name}'")).definition
}

#[test]
fn every_definition_of_the_document_is_valid_and_offered() {
    let examples = examples();

    assert!(examples.len() >= 9, "{}", examples.len());
    for example in examples {
        assert!(example.warnings.is_empty() && example.missing.is_empty(), "{:?}", example.warnings);
    }
}

#[test]
fn the_examples_of_flow_control_are_read_with_their_keys() {
    let input = json!([{"data": {"customer": "c", "document": "d", "account": "a", "payment": "p"}}]);
    let keys = |name: &str| {
        let def = example(name);
        def.controls().expect("controls").keys(&input).expect("keys")
    };

    let concurrency = example("concurrency").controls().and_then(|controls| controls.concurrency);
    assert_eq!(concurrency, Some(Concurrency { limit: 1, over: Over::Queue }));
    assert_eq!(keys("concurrency").concurrency.as_deref(), Some("c"));
    let debounce = example("debounce").controls().and_then(|controls| controls.debounce);
    assert_eq!(debounce.map(|debounce| debounce.period_ms), Some(30_000));
    assert_eq!(keys("debounce").debounce.as_deref(), Some("d"));
    let throttle = example("throttle").controls().and_then(|controls| controls.throttle);
    assert_eq!(throttle, Some(Throttle { limit: 10, period_ms: 60_000 }));
    assert_eq!(keys("throttle").throttle.as_deref(), Some("a"));
    let idempotency = example("idempotency").controls().and_then(|controls| controls.idempotency);
    assert_eq!(idempotency.map(|idempotency| idempotency.period_ms), Some(7 * 86_400_000));
    assert_eq!(keys("idempotency").idempotency.as_deref(), Some("p"));
}

#[test]
fn the_nightly_example_starts_in_its_time_zone() {
    let def = example("nightly");
    let midnight = 1_763_769_600_000; // 2025-11-22T00:00:00Z

    let next = def.schedule().and_then(|schedule| schedule.next(0, midnight));

    assert_eq!(next, Some(midnight + 90 * 60 * 1000));
}

#[test]
fn the_example_of_cancel_on_is_cancelled_by_its_event() {
    use openevent_flow::{Input, Run, Status};
    let def = example("cancel-on");
    let created = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "order.created", "data": {"order": 7}});
    let mut run = Run::new();
    run.apply(&def, 0, Input::Started { input: json!([created]), run_id: "r".to_owned(), by_events: true });
    let cancelled = |id: &str, order: u8| Input::Signal {
        event: json!({"specversion": "1.0", "id": id, "source": "s", "type": "order.cancelled", "data": {"order": order}}),
    };

    assert!(!run.apply(&def, 0, cancelled("2", 8)).accepted);
    assert!(run.apply(&def, 0, cancelled("3", 7)).accepted);
    assert_eq!(run.status(), Status::Cancelled);
}
