//! What starts runs: schedules, triggers that gather events, and the keys runs are controlled by.

use std::collections::BTreeSet;
use std::sync::Arc;

use openevent_flow::{Concurrency, Debounce, Definition, Idempotency, Keys, Over, Throttle, Trigger};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::parse;

const DAY: i64 = 86_400_000;

fn workflow(schedule: &str) -> Arc<Definition> {
    parse(&format!("schedule: {schedule}\ndo: []"))
}

fn trigger(def: &Definition) -> &Trigger {
    def.trigger().expect("a trigger")
}

fn event(kind: &str, data: Value) -> Value {
    json!({"id": "x", "source": "https://x", "type": kind, "data": data})
}

/// Starts as many runs as there can be; which events each was given.
fn gathered(trigger: &Trigger, events: &[Value]) -> Vec<Vec<Value>> {
    let mut left = events.to_vec();
    let mut runs = Vec::new();
    loop {
        let found = trigger.gather(&left);
        let Some(complete) = found.complete else { return runs };
        runs.push(complete.iter().map(|position| left[*position].clone()).collect());
        let spent: BTreeSet<_> = found.spent.into_iter().collect();
        assert!(complete.iter().all(|position| spent.contains(position)), "what was used is spent");
        let kept = left.into_iter().enumerate().filter(|(position, _)| !spent.contains(position));
        left = kept.map(|(_, event)| event).collect();
    }
}

#[test]
fn a_workflow_starts_by_the_clock() {
    let def = workflow("{ every: PT1H, cron: '30 0 * * *', after: { minutes: 5 } }");

    let schedule = def.schedule().expect("a schedule");
    assert_eq!(schedule.next(0, 0), Some(1_800_000));
    assert_eq!(schedule.next(0, 1_800_000), Some(3_600_000));
    assert_eq!(schedule.after_ms(), Some(300_000));
    assert!(def.trigger().is_none());
    assert!(workflow("{ on: { any: [] } }").schedule().is_none());
}

#[test]
fn the_metadata_say_where_the_clock_hangs() {
    let def = Definition::parse(
        "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0', metadata: { openevent: { timezone: Asia/Kolkata } } }
schedule: { cron: '0 0 * * *' }
do: []",
    );

    let def = def.expect("valid").definition;
    assert_eq!(def.schedule().and_then(|schedule| schedule.next(0, 0)), Some(DAY - 19_800_000));
}

#[test]
fn single_events_start_at_once() {
    for on in ["{ one: { with: { type: a } } }", "{ any: [ { with: { type: a } } ] }", "{ any: [] }"] {
        assert!(trigger(&workflow(&format!("{{ on: {on} }}"))).is_immediate(), "{on}");
    }
    for on in ["{ all: [ { with: { type: a } } ] }", "{ any: [], until: 'length > 1' }"] {
        assert!(!trigger(&workflow(&format!("{{ on: {on} }}"))).is_immediate(), "{on}");
    }
}

#[test]
fn a_set_of_events_that_belong_together_starts_a_run() {
    let def = workflow(
        "{ on: { all: [ { with: { type: a }, correlate: { order: { from: .data.order } } }, { with: { type: b }, correlate: { order: { from: .data.number } } } ] } }",
    );
    let [first, other, second] =
        [event("a", json!({"order": 1})), event("b", json!({"number": 2})), event("b", json!({"number": 1}))];

    let found = trigger(&def).gather(&[first.clone(), event("c", json!({})), other.clone(), second.clone()]);

    assert_eq!((found.complete, found.spent), (Some(vec![0, 3]), vec![0, 1, 3]));
    assert_eq!(trigger(&def).gather(&[first, other]).complete, None);
}

#[test]
fn correlations_need_not_be_known_to_every_event() {
    let def = workflow(
        "{ on: { all: [ { with: { type: a }, correlate: { x: { from: .data.x } } }, { with: { type: b }, correlate: { x: { from: .data.x }, y: { from: .data.y } } }, { with: { type: c }, correlate: { y: { from: .data.y } } } ] } }",
    );
    let events = [
        event("c", json!({"y": 1})),
        event("b", json!({"x": 1, "y": 2})),
        event("a", json!({"x": 1})),
        event("c", json!({"y": 2})),
    ];

    assert_eq!(trigger(&def).gather(&events).complete, Some(vec![1, 2, 3]));
}

#[test]
fn an_event_that_fits_twice_is_used_once() {
    let def = workflow("{ on: { all: [ { with: { type: 'a|b' } }, { with: { type: a } } ] } }");
    let (a, b) = (event("a", json!({})), event("b", json!({})));

    assert_eq!(trigger(&def).gather(std::slice::from_ref(&a)).complete, None);
    assert_eq!(trigger(&def).gather(&[a, b]).complete, Some(vec![0, 1]));
}

#[test]
fn events_are_gathered_until_a_condition_holds() {
    let def = workflow("{ on: { any: [ { with: { type: a } } ], until: '(map(.data.n) | add) >= 5' } }");
    let events: Vec<_> = [2, 2, 2, 9].iter().map(|n| event("a", json!({"n": n}))).collect();

    assert_eq!(trigger(&def).gather(&events[..2]).complete, None);
    assert_eq!(trigger(&def).gather(&events).complete, Some(vec![0, 1, 2]));
    assert_eq!(gathered(trigger(&def), &events).len(), 2);
}

#[test]
fn events_are_gathered_until_another_one_comes() {
    let def =
        workflow("{ on: { any: [ { with: { type: a } } ], until: { one: { with: { type: stop } } } } }");
    let (a, stop) = (event("a", json!({})), event("stop", json!({})));

    let nothing_yet = trigger(&def).gather(&[stop.clone(), a.clone()]);
    let enough = trigger(&def).gather(&[a.clone(), a, stop]);

    assert_eq!((nothing_yet.complete, nothing_yet.spent), (None, vec![0]));
    assert_eq!((enough.complete, enough.spent), (Some(vec![0, 1]), vec![0, 1, 2]));
    assert_eq!(trigger(&def).filters().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sets_come_together_in_any_order_and_no_event_is_used_twice(
        events in proptest::collection::vec((0..3_u8, 0..4_u8), 0..24).prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        let filter = |kind: u8| format!("{{ with: {{ type: t{kind} }}, correlate: {{ k: {{ from: .data.k }} }} }}");
        let def = workflow(&format!("{{ on: {{ all: [ {}, {}, {} ] }} }}", filter(0), filter(1), filter(2)));
        let made = |events: &[(u8, u8)]| -> Vec<Value> {
            let numbered = events.iter().enumerate();
            numbered.map(|(id, (kind, k))| json!({"id": id, "type": format!("t{kind}"), "data": {"k": k}})).collect()
        };
        let keys = |runs: &[Vec<Value>]| {
            let mut keys: Vec<_> = runs.iter().map(|run| run[0]["data"]["k"].as_u64()).collect();
            keys.sort_unstable();
            keys
        };

        let runs = gathered(trigger(&def), &made(&events.0));

        let mut used = BTreeSet::new();
        for run in &runs {
            prop_assert_eq!(run.len(), 3);
            prop_assert!(run.iter().all(|event| event["data"]["k"] == run[0]["data"]["k"]));
            prop_assert!(run.iter().all(|event| used.insert(event["id"].as_u64())));
        }
        prop_assert_eq!(keys(&runs), keys(&gathered(trigger(&def), &made(&events.1))));
    }
}

fn controlled(metadata: &str) -> Definition {
    let source = format!(
        "document: {{ dsl: '1.0.3', namespace: a, name: b, version: '1.0.0', metadata: {{ other: 1, openevent: {metadata} }} }}\ndo: []"
    );
    match Definition::parse(&source) {
        Ok(parsed) => parsed.definition,
        Err(issues) => panic!("{issues:?}"),
    }
}

#[test]
fn runs_are_controlled_by_key() {
    let def = controlled(
        "{ concurrency: { limit: 2, key: '${ .[0].data.customer }', strategy: cancel-oldest }, debounce: { period: PT5S, key: '.[0].data.n' }, throttle: { limit: 10, period: { minutes: 1 } }, idempotency: { key: '.[0].data.gone' } }",
    );

    let controls = def.controls().expect("controls");

    assert_eq!(controls.concurrency, Some(Concurrency { limit: 2, over: Over::CancelOldest }));
    assert_eq!(controls.debounce, Some(Debounce { period_ms: 5_000 }));
    assert_eq!(controls.throttle, Some(Throttle { limit: 10, period_ms: 60_000 }));
    assert_eq!(controls.idempotency, Some(Idempotency { period_ms: DAY }));
    let keys = controls.keys(&json!([{"data": {"customer": "c1", "n": 7}}])).expect("keys");
    let (concurrency, debounce) = (Some("c1".to_owned()), Some("7".to_owned()));
    assert_eq!(keys, Keys { concurrency, debounce, throttle: None, idempotency: None });
    assert!(controls.keys(&json!({"not": "an array"})).is_err());
    assert!(controlled("{}").controls().is_none());
}
