//! The events that start a run: `schedule.on`.
//!
//! Invariant: an event is used for one run at most; which sets of `all` come together does not depend on the order
//! of events, only which of several equal ones is taken. Not here: comparing events (`event`), keeping them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::event::{Bound, EventFilter, FilterSpec, Match, Mode, Strategy, Until};
use crate::jq::Val;

/// Events of one set.
pub(crate) const SET_MAX: usize = 100;
/// Attempts to complete one set, where events fit several filters.
const STEPS_MAX: u32 = 10_000;

/// The events that start a run.
#[derive(Debug)]
pub struct Trigger {
    mode: Mode,
    wanted: Vec<Arc<EventFilter>>,
    until: Option<Ending>,
    /// Filters of everything that matters.
    watched: Vec<Arc<EventFilter>>,
}

/// When `any` has enough.
#[derive(Debug)]
enum Ending {
    Condition(crate::jq::Expr),
    /// Those of these filters, all of them or any.
    Events(Mode, Vec<Arc<EventFilter>>),
}

/// What becomes of kept events; positions in the list that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Those a run starts with now.
    pub complete: Option<Vec<usize>>,
    /// Those that need not be kept any longer, with those of `complete`.
    pub spent: Vec<usize>,
}

/// Correlation values by name.
type Key = BTreeMap<String, String>;

/// What an event is to a trigger: the keys under which it counts, by filter.
struct Kept {
    position: usize,
    event: Val,
    wanted: Vec<(usize, Key)>,
    ends: Vec<(usize, Key)>,
}

impl Trigger {
    pub(crate) fn new(strategy: Strategy) -> Self {
        let filters = |specs: Vec<Arc<FilterSpec>>| -> Vec<_> {
            specs.into_iter().map(|spec| Arc::new(EventFilter { spec, bound: Bound::default() })).collect()
        };
        let wanted = filters(strategy.filters);
        let until = strategy.until.map(|until| match until {
            Until::Condition(condition) => Ending::Condition(condition),
            Until::Events(until) => Ending::Events(until.mode, filters(until.filters)),
        });
        let mut watched = wanted.clone();
        match &until {
            Some(Ending::Events(_, filters)) if filters.is_empty() => watched.clear(), // every event ends it
            Some(Ending::Events(_, filters)) if !wanted.is_empty() => watched.extend(filters.iter().cloned()),
            _ => {}
        }
        Self { mode: strategy.mode, wanted, until, watched }
    }

    /// Events that match any of these matter to it; an empty list means every event does.
    pub fn filters(&self) -> &[Arc<EventFilter>] {
        &self.watched
    }

    /// Whether one event that matches starts a run at once. If not, whoever drives keeps matching events and asks
    /// [`gather`](Self::gather).
    pub fn is_immediate(&self) -> bool {
        self.mode != Mode::All && self.until.is_none()
    }

    /// What becomes of the events kept so far, in the order they came. When a run starts there may be enough for
    /// another one: ask again with what is left.
    pub fn gather(&self, events: &[Value]) -> Gathered {
        let mut gathered = Gathered::default();
        let mut kept = Vec::with_capacity(events.len());
        for (position, event) in events.iter().enumerate() {
            match self.kept(position, event) {
                Some(one) => kept.push(one),
                None => gathered.spent.push(position),
            }
        }
        match self.mode {
            Mode::All => gathered.complete = self.complete_set(&kept),
            Mode::One | Mode::Any => self.collect(&kept, &mut gathered),
        }
        gathered.spent.extend(gathered.complete.iter().flatten().copied());
        gathered.spent.sort_unstable();
        gathered.spent.dedup();
        gathered
    }

    /// `None` for an event that does not matter.
    fn kept(&self, position: usize, event: &Value) -> Option<Kept> {
        let event = Val::from_json(event).ok()?;
        let matching = |filters: &[Arc<EventFilter>]| -> Vec<(usize, Key)> {
            let every = filters.is_empty().then(|| (0, Key::new()));
            let fits =
                filters.iter().enumerate().filter(|(_, filter)| filter.matches_val(&event) == Match::Yes);
            every.into_iter().chain(fits.map(|(index, filter)| (index, key(filter, &event)))).collect()
        };
        let ends = match &self.until {
            Some(Ending::Events(_, filters)) => matching(filters),
            _ => Vec::new(),
        };
        let wanted = if ends.is_empty() { matching(&self.wanted) } else { Vec::new() };
        if wanted.is_empty() && ends.is_empty() {
            return None;
        }
        Some(Kept { position, event, wanted, ends })
    }

    // ---- all

    /// The set that came together first.
    fn complete_set(&self, kept: &[Kept]) -> Option<Vec<usize>> {
        let shared = self.shared_names();
        let mut groups: BTreeMap<Key, Vec<Vec<(usize, &Key)>>> = BTreeMap::new();
        for event in kept {
            for (filter, key) in &event.wanted {
                let group: Key = key
                    .iter()
                    .filter(|(name, _)| shared.contains(name))
                    .map(|(n, v)| (n.clone(), v.clone()))
                    .collect();
                let candidates = groups.entry(group).or_insert_with(|| vec![Vec::new(); self.wanted.len()]);
                candidates[*filter].push((event.position, key));
            }
        }
        let sets = groups.values().filter_map(|candidates| {
            let mut search = Search { candidates, chosen: Vec::new(), steps_left: STEPS_MAX };
            search.run(&Key::new()).then(|| {
                let mut set = search.chosen;
                set.sort_unstable();
                set
            })
        });
        sets.min_by_key(|set| set.last().copied())
    }

    /// Names of correlations that every filter has, so that events can be told apart by them from the outset.
    fn shared_names(&self) -> Vec<String> {
        let names = |filter: &Arc<EventFilter>| -> Vec<String> {
            let free = filter.spec.correlate.iter().filter(|correlation| correlation.expect.is_none());
            free.map(|correlation| correlation.name.clone()).collect()
        };
        let Some((first, rest)) = self.wanted.split_first() else { return Vec::new() };
        let mut shared = names(first);
        for filter in rest {
            let names = names(filter);
            shared.retain(|name| names.contains(name));
        }
        shared
    }

    // ---- any, until

    fn collect(&self, kept: &[Kept], gathered: &mut Gathered) {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut known: BTreeMap<&Key, usize> = BTreeMap::new();
        for event in kept {
            if let Some((filter, key)) = event.ends.first() {
                if self.end(&mut groups, event, *filter, key, gathered) {
                    return;
                }
                continue;
            }
            let Some((_, key)) = event.wanted.first() else { continue };
            let index = *known.entry(key).or_insert_with(|| {
                groups.push(Group { key: key.clone(), events: Vec::new(), met: BTreeMap::new() });
                groups.len() - 1
            });
            let group = &mut groups[index];
            group.events.push(event);
            if self.has_enough(group) {
                gathered.complete = Some(group.events.iter().map(|event| event.position).collect());
                return;
            }
        }
    }

    fn has_enough(&self, group: &Group<'_>) -> bool {
        match &self.until {
            None => true,
            Some(Ending::Events(..)) => false,
            Some(Ending::Condition(condition)) => {
                let so_far = Val::arr(group.events.iter().map(|event| event.event.clone()).collect());
                condition.eval(so_far, &Bound::default()).is_ok_and(|val| val.truthy())
            }
        }
    }

    /// An event that ends the gathering of those it belongs with; with nothing gathered it is of no use.
    fn end<'k>(
        &self,
        groups: &mut [Group<'k>],
        event: &'k Kept,
        filter: usize,
        key: &Key,
        gathered: &mut Gathered,
    ) -> bool {
        let needed = match &self.until {
            Some(Ending::Events(Mode::All, filters)) if !filters.is_empty() => filters.len(),
            _ => 1,
        };
        let mut useful = false;
        for group in groups.iter_mut().filter(|group| agree(&group.key, key)) {
            useful = true;
            group.met.insert(filter, event.position);
            if group.met.len() == needed {
                gathered.complete = Some(group.events.iter().map(|event| event.position).collect());
                gathered.spent.extend(group.met.values());
                return true;
            }
        }
        if !useful {
            gathered.spent.push(event.position);
        }
        false
    }
}

/// Events that belong together.
struct Group<'k> {
    key: Key,
    events: Vec<&'k Kept>,
    /// Which filters of `until` have had their event.
    met: BTreeMap<usize, usize>,
}

/// The search for one event for each filter, such that their correlations agree.
struct Search<'c> {
    candidates: &'c [Vec<(usize, &'c Key)>],
    chosen: Vec<usize>,
    steps_left: u32,
}

impl Search<'_> {
    fn run(&mut self, key: &Key) -> bool {
        let candidates = self.candidates;
        let Some(mine) = candidates.get(self.chosen.len()) else { return !candidates.is_empty() };
        if candidates.iter().any(Vec::is_empty) {
            return false;
        }
        for (position, own) in mine {
            if self.chosen.contains(position) || !agree(key, own) {
                continue;
            }
            if self.steps_left == 0 {
                return false;
            }
            self.steps_left -= 1;
            self.chosen.push(*position);
            let joined: Key = key.iter().chain(own.iter()).map(|(n, v)| (n.clone(), v.clone())).collect();
            if self.run(&joined) {
                return true;
            }
            self.chosen.pop();
        }
        false
    }
}

fn agree(left: &Key, right: &Key) -> bool {
    left.iter().all(|(name, value)| right.get(name).is_none_or(|other| other == value))
}

fn key(filter: &EventFilter, event: &Val) -> Key {
    filter.learned(event).into_iter().map(|(name, val)| (name, val.to_string())).collect()
}
