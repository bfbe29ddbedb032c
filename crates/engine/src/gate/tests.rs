//! The rules one by one, and all of them against a model that crashes.
//!
//! Invariant: what the gate says after a crash is what it would have said without.
//! Not here: databases and engines (`tests/engine/gates.rs`).

use super::*;
use proptest::prelude::*;

fn run(n: usize) -> RunId {
    RunId::trusted(format!("run_{n:04}"))
}

fn concurrency(limit: u32, over: Over) -> Rules {
    Rules { concurrency: Some(Concurrency { limit, over }), ..Rules::default() }
}

fn begins(verdicts: &[Verdict]) -> Vec<RunId> {
    let begun = |verdict: &Verdict| match verdict {
        Verdict::Begin(id) => Some(id.clone()),
        _ => None,
    };
    verdicts.iter().filter_map(begun).collect()
}

#[test]
fn who_is_one_too_many_waits_and_comes_in_order() {
    let mut gate = Gate::default();
    for n in [2, 0, 1] {
        gate.enter(&run(n), 0, concurrency(1, Over::Queue), Keys::default());
    }
    assert_eq!(begins(&gate.decide(5, 100)), [run(0)]);
    assert!(!gate.is_due(5));
    gate.leave(&run(0), 5, &None);
    assert_eq!(begins(&gate.decide(6, 100)), [run(1)]);
    assert!(gate.remove(&run(2)) && !gate.remove(&run(2)));
    gate.leave(&run(1), 6, &None);
    assert_eq!(gate.decide(7, 100), []);
}

#[test]
fn keys_do_not_stand_in_each_others_way() {
    let mut gate = Gate::default();
    let keys = |key: &str| Keys { concurrency: Some(key.to_owned()), ..Keys::default() };
    for (n, key) in ["a", "a", "b"].into_iter().enumerate() {
        gate.enter(&run(n), 0, concurrency(1, Over::Queue), keys(key));
    }
    assert_eq!(begins(&gate.decide(0, 100)), [run(0), run(2)]);
}

#[test]
fn the_oldest_goes_for_a_new_one_or_the_new_one_is_turned_away() {
    let mut gate = Gate::default();
    gate.enter(&run(0), 0, concurrency(1, Over::CancelOldest), Keys::default());
    gate.decide(0, 100);
    gate.enter(&run(1), 1, concurrency(1, Over::CancelOldest), Keys::default());
    assert_eq!(gate.decide(1, 100), [Verdict::Cancel(run(0)), Verdict::Begin(run(1))]);
    gate.enter(&run(2), 2, concurrency(1, Over::Reject), Keys::default());
    assert_eq!(gate.decide(2, 100), [Verdict::TurnAway(run(2), Reason::Full)]);
}

#[test]
fn only_the_last_of_a_quick_succession_begins() {
    let rules = Rules { debounce: Some(Debounce { period_ms: 10 }), ..Rules::default() };
    let mut gate = Gate::default();
    assert_eq!(gate.enter(&run(0), 0, rules, Keys::default()), []);
    let overtaken = gate.enter(&run(1), 9, rules, Keys::default());
    assert_eq!(overtaken, [Verdict::TurnAway(run(0), Reason::Overtaken)]);
    assert_eq!((gate.decide(10, 100), gate.due_at()), (vec![], Some(19)));
    assert_eq!(begins(&gate.decide(19, 100)), [run(1)]);
    assert_eq!(gate.enter(&run(2), 20, rules, Keys::default()), []);
}

#[test]
fn a_pace_is_kept_also_over_a_restart() {
    let rules = Rules { throttle: Some(Throttle { limit: 2, period_ms: 10 }), ..Rules::default() };
    let mut gate = Gate::default();
    gate.remember(&run(0), 0, 0, Keys::default());
    for n in 1..5 {
        gate.enter(&run(n), 1, rules, Keys::default());
    }
    assert_eq!((begins(&gate.decide(1, 100)), gate.due_at()), (vec![run(1)], Some(10)));
    assert_eq!((begins(&gate.decide(10, 100)), gate.due_at()), (vec![run(2)], Some(11)));
    assert_eq!((begins(&gate.decide(11, 100)), gate.due_at()), (vec![run(3)], Some(20)));
}

#[test]
fn a_repeated_key_is_turned_away_until_its_period_is_over() {
    let rules = Rules { idempotency: Some(Idempotency { period_ms: 10 }), ..Rules::default() };
    let keys = || Keys { idempotency: Some("order-7".into()), ..Keys::default() };
    let mut gate = Gate::default();
    assert_eq!(gate.enter(&run(0), 0, rules, keys()), []);
    let again = gate.enter(&run(1), 9, rules, keys());
    assert_eq!(again, [Verdict::TurnAway(run(1), Reason::Repeated)]);
    assert_eq!(gate.enter(&run(2), 10, rules, keys()), []);
    assert_eq!(gate.enter(&run(3), 10, rules, Keys::default()), [], "no key, no comparison");
}

#[test]
fn a_crowd_is_let_in_in_bites() {
    let mut gate = Gate::default();
    (0..10).for_each(|n| drop(gate.enter(&run(n), 0, concurrency(100, Over::Queue), Keys::default())));
    assert_eq!(begins(&gate.decide(0, 4)).len(), 4);
    assert!(gate.is_due(0));
    assert_eq!(begins(&gate.decide(0, 100)).len(), 6);
}

/// A run as the disk knows it.
#[derive(Clone, Debug)]
struct Stored {
    started_at: Millis,
    keys: Keys,
    begun_at: Option<Millis>,
    has_ended: bool,
}

/// What happens to a gate.
#[derive(Clone, Copy, Debug)]
enum Event {
    Arrives(u8),
    Ends(usize),
    Passes(i64),
    Crashes,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..3_u8).prop_map(Event::Arrives),
        3 => (0..50_usize).prop_map(Event::Ends),
        2 => (1..8_i64).prop_map(Event::Passes),
        1 => Just(Event::Crashes),
    ];
    proptest::collection::vec(event, 1..80)
}

/// The disk, and the gate that is made anew from it after a crash.
struct Model {
    rules: Rules,
    gate: Gate,
    disk: BTreeMap<RunId, Stored>,
    now: Millis,
}

impl Model {
    fn new(rules: Rules) -> Self {
        Self { rules, gate: Gate::default(), disk: BTreeMap::new(), now: 0 }
    }

    fn arrive(&mut self, key: u8) {
        let id = run(self.disk.len());
        let keys = Keys { concurrency: Some(key.to_string()), ..Keys::default() };
        let stored = Stored { started_at: self.now, keys: keys.clone(), begun_at: None, has_ended: false };
        self.disk.insert(id.clone(), stored);
        let verdicts = self.gate.enter(&id, self.now, self.rules, keys);
        self.heed(verdicts);
    }

    fn end(&mut self, at: usize) {
        let going = |one: &Stored| one.begun_at.is_some() && !one.has_ended;
        let going: Vec<RunId> =
            self.disk.iter().filter(|(_, one)| going(one)).map(|(id, _)| id.clone()).collect();
        if let Some(id) = going.get(at % going.len().max(1)) {
            self.ended(id);
        }
    }

    fn ended(&mut self, id: &RunId) {
        let Some(one) = self.disk.get_mut(id) else { return };
        one.has_ended = true;
        if let Some(begun_at) = one.begun_at {
            self.gate.leave(id, begun_at, &one.keys.concurrency);
        }
    }

    fn crash(&mut self) {
        self.gate = Gate::default();
        for (id, one) in &self.disk.clone() {
            if let Some(begun_at) = one.begun_at {
                self.gate.remember(id, one.started_at, begun_at, one.keys.clone());
            }
            match one.begun_at {
                _ if one.has_ended => {}
                Some(begun_at) => self.gate.rejoin(id, begun_at, &one.keys.concurrency),
                None => {
                    let verdicts = self.gate.enter(id, one.started_at, self.rules, one.keys.clone());
                    self.heed(verdicts);
                }
            }
        }
    }

    fn decide(&mut self) {
        while self.gate.is_due(self.now) {
            let verdicts = self.gate.decide(self.now, 3);
            self.heed(verdicts);
        }
    }

    fn heed(&mut self, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            match verdict {
                Verdict::Begin(id) => {
                    let one = self.disk.get_mut(&id).unwrap();
                    assert!(one.begun_at.is_none() && !one.has_ended, "{id} began twice");
                    one.begun_at = Some(self.now);
                }
                Verdict::Cancel(id) | Verdict::TurnAway(id, _) => self.ended(&id),
            }
        }
    }

    /// Runs that go on, by key.
    fn going(&self) -> BTreeMap<Key, u32> {
        let mut going = BTreeMap::new();
        for one in self.disk.values().filter(|one| one.begun_at.is_some() && !one.has_ended) {
            *going.entry(one.keys.concurrency.clone()).or_default() += 1;
        }
        going
    }

    /// The most runs that began within a period.
    fn pace(&self, period_ms: i64) -> usize {
        let begun: Vec<Millis> = self.disk.values().filter_map(|one| one.begun_at).collect();
        let within = |from: Millis| begun.iter().filter(|at| (from..from + period_ms).contains(*at)).count();
        begun.iter().map(|from| within(*from)).max().unwrap_or(0)
    }
}

proptest! {
    #[test]
    fn no_more_go_on_or_begin_than_may_and_nobody_is_lost_whenever_it_crashes(
        events in events(), limit in 1..4_u32, over in 0..3_u8, paced in any::<bool>()
    ) {
        let over = [Over::Queue, Over::Reject, Over::CancelOldest][usize::from(over)];
        let throttle = paced.then_some(Throttle { limit: 2, period_ms: 5 });
        let rules = Rules { throttle, ..concurrency(limit, over) };
        let mut model = Model::new(rules);
        for event in events {
            match event {
                Event::Arrives(key) => model.arrive(key),
                Event::Ends(at) => model.end(at),
                Event::Passes(ms) => model.now += ms,
                Event::Crashes => model.crash(),
            }
            model.decide();
            prop_assert!(model.going().values().all(|going| *going <= limit), "{:?}", model.disk);
            prop_assert!(throttle.is_none() || model.pace(5) <= 2, "{:?}", model.disk);
        }
        // Whoever may wait comes in at last.
        for _ in 0..200 {
            model.now += 5;
            model.decide();
            model.end(0);
            model.decide();
        }
        prop_assert!(model.disk.values().all(|one| one.begun_at.is_some() || one.has_ended), "{:?}", model.disk);
    }
}
