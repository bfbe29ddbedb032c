//! `listen`: waiting for events, and handling them one after the other.
//!
//! Invariant: a run consumes an event at most once; events that only end an `until` are not part of the output.
//! Not here: finding events (the driver) and comparing them (`event`).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::data::{assemble, expression};
use super::machine::Machine;
use super::state::{Frame, FrameId, Listening, Pending, State};
use crate::definition::Definition;
use crate::event::{Bound, EventFilter, FilterSpec, Match, Mode, Strategy, Until};
use crate::jq::{Scope, Val};
use crate::model::{Kind, ListenTask, Read};
use crate::{Command, Fault};

/// Events that wait to be handled by one `listen`.
const QUEUE_MAX: usize = 10_000;

/// The listen a frame waits with.
pub(super) fn command(def: &Definition, frame: &Frame) -> Option<Command> {
    let (Kind::Listen(kind), State::Listen(listening)) =
        (&def.model.tasks[frame.task as usize].kind, &frame.state)
    else {
        return None;
    };
    let bound = Bound(listening.bound.clone());
    let filter = |spec: &Arc<FilterSpec>| Arc::new(EventFilter { spec: spec.clone(), bound: bound.clone() });
    let mut filters: Vec<_> = kind.strategy.filters.iter().map(filter).collect();
    if let (Some(Until::Events(until)), false) = (&kind.strategy.until, filters.is_empty()) {
        if until.filters.is_empty() {
            filters.clear(); // every event ends it
        }
        filters.extend(until.filters.iter().map(filter));
    }
    Some(Command::Listen { op: listening.op?, filters, since: listening.since })
}

/// What an event means to one listener.
enum Taken {
    No,
    /// It is one of those waited for.
    Event,
    /// It is one of those that end the waiting.
    Until,
}

impl Machine<'_> {
    pub(super) fn listen(&mut self, id: FrameId, kind: &ListenTask) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        if kind.mode() == Mode::All && kind.strategy.filters.is_empty() {
            self.done(id, assemble(|| Val::arr(Vec::new()))?);
            return Ok(());
        }
        let names = variables(&kind.strategy);
        let env = self.env(frame);
        let bound = names.into_iter().map(|name| (name.clone(), env.var(&name))).collect();
        let until_len = match &kind.strategy.until {
            Some(Until::Events(until)) => until.filters.len(),
            _ => 0,
        };
        let op = self.next_op();
        let listening = Listening {
            op: Some(op),
            since: self.now,
            bound,
            learned: Vec::new(),
            met: vec![false; kind.strategy.filters.len()],
            until_met: vec![false; until_len],
            taken: Val::arr(Vec::new()),
            queue: VecDeque::new(),
            item: None,
            index: 0,
            outputs: Vec::new(),
        };
        self.body.open(op, Pending::Listen { frame: id });
        self.set_state(id, State::Listen(Box::new(listening)));
        if let Some(command) = self.frame(id).and_then(|frame| command(self.def, frame)) {
            self.command(command);
        }
        self.waits(id);
        self.correlation_started();
        Ok(())
    }

    fn listening(&self, id: FrameId) -> Option<(&ListenTask, &Listening)> {
        let frame = self.frame(id)?;
        match (&self.task_of(frame).kind, &frame.state) {
            (Kind::Listen(kind), State::Listen(listening)) => Some((kind, listening)),
            _ => None,
        }
    }

    fn listening_mut(&mut self, id: FrameId) -> Option<&mut Listening> {
        match self.body.frame_mut(id).map(|frame| &mut frame.state) {
            Some(State::Listen(listening)) => Some(listening),
            _ => None,
        }
    }

    fn listeners(&self) -> Vec<FrameId> {
        let ops = self.body.index().listens();
        ops.filter_map(|op| self.body.pending().get(&op)?.frame()).collect()
    }

    /// Whether somebody here waits for the event.
    pub(super) fn is_listened_to(&self, event: &Val) -> bool {
        let wanted = |id: FrameId| {
            let listening = self.listening(id);
            listening.is_some_and(|(kind, listening)| !matches!(taken(kind, listening, event).0, Taken::No))
        };
        !self.body.has_consumed(event) && self.listeners().into_iter().any(wanted)
    }

    /// Hands an event to everybody here who waits for it.
    pub(super) fn signal(&mut self, event: &Val) -> bool {
        if self.body.has_consumed(event) {
            return false;
        }
        let mut wanted = false;
        for id in self.listeners() {
            wanted |= self.take(id, event);
        }
        if wanted {
            self.body.consume(event);
        }
        wanted
    }

    fn take(&mut self, id: FrameId, event: &Val) -> bool {
        let Some(Kind::Listen(kind)) = self.kind_of(id) else { return false };
        let Some((_, listening)) = self.listening(id) else { return false };
        let (what, position) = taken(kind, listening, event);
        let learned = match (&what, position) {
            (Taken::Event, Some(position)) => {
                let filter = bound_filter(&kind.strategy.filters[position], &listening.bound);
                filter.learned(event)
            }
            _ => Vec::new(),
        };
        let Some(listening) = self.listening_mut(id) else { return false };
        let mut kept = Ok(());
        match what {
            Taken::No => return false,
            Taken::Until => {
                if let Some(met) = position.and_then(|position| listening.until_met.get_mut(position)) {
                    *met = true;
                }
            }
            Taken::Event => {
                if let Some(met) = position.and_then(|position| listening.met.get_mut(position)) {
                    *met = true;
                }
                for (name, val) in learned {
                    if !listening.learned.iter().any(|(known, _)| *known == name) {
                        listening.learned.push((name, val));
                    }
                }
                let item = read(kind.read, event);
                if kind.each.is_some() {
                    listening.queue.push_back(item.clone());
                }
                if kind.each.is_none() || matches!(kind.strategy.until, Some(Until::Condition(_))) {
                    kept = listening.keep(item);
                }
            }
        }
        match kept.and_then(|()| self.is_enough(id, kind, &what)) {
            Ok(enough) => self.advance(id, kind, enough),
            Err(fault) => self.fail(id, fault),
        }
        true
    }

    /// Whether the waiting is over.
    fn is_enough(&self, id: FrameId, kind: &ListenTask, last: &Taken) -> Result<bool, Fault> {
        let (Some((_, listening)), Some(frame)) = (self.listening(id), self.frame(id)) else {
            return Ok(true);
        };
        if listening.queue.len() >= QUEUE_MAX || listening.taken_len() >= QUEUE_MAX {
            return Err(Fault::new(
                crate::FaultKind::Runtime,
                format!("more than {QUEUE_MAX} events were collected"),
            ));
        }
        Ok(match (kind.mode(), &kind.strategy.until) {
            (Mode::One, _) | (Mode::Any, None) => true,
            (Mode::All, _) => listening.met.iter().all(|met| *met),
            (Mode::Any, Some(Until::Events(until))) => {
                let all = until.mode == Mode::All && !until.filters.is_empty();
                matches!(last, Taken::Until) && (!all || listening.until_met.iter().all(|met| *met))
            }
            (Mode::Any, Some(Until::Condition(condition))) => {
                condition.eval(listening.taken.clone(), &self.env(frame)).map_err(expression)?.truthy()
            }
        })
    }

    /// Stops listening when it is enough, handles the next event, and is done when none is left.
    fn advance(&mut self, id: FrameId, kind: &ListenTask, enough: bool) {
        let Some(listening) = self.listening_mut(id) else { return };
        let stopped = if enough { listening.op.take() } else { None };
        if let Some(op) = stopped {
            let learned = std::mem::take(&mut listening.learned);
            self.abandon(op);
            self.correlation_completed(&learned);
        }
        let input = self.frame(id).map(|frame| frame.input.clone()).unwrap_or_default();
        let Some(listening) = self.listening_mut(id) else { return };
        if listening.item.is_some() {
            return; // busy with one
        }
        if let (Some(each), Some(item)) = (&kind.each, listening.queue.pop_front()) {
            listening.item = Some(item.clone());
            return match each.block.first() {
                Some(first) => self.start(Some(id), *first, input),
                None => self.handled(id, kind, &item),
            };
        }
        if listening.op.is_none() {
            let output = if kind.each.is_some() {
                let outputs = std::mem::take(&mut listening.outputs);
                assemble(|| Val::arr(outputs))
            } else {
                Ok(std::mem::take(&mut listening.taken))
            };
            match output {
                Ok(output) => self.done(id, output),
                Err(fault) => self.fail(id, fault),
            }
        }
    }

    /// One event has been handled.
    pub(super) fn handled(&mut self, id: FrameId, kind: &ListenTask, output: &Val) {
        let Some(each) = &kind.each else { return };
        let reshaped = self.reshape(id, &each.output, &each.export, output);
        let Some(listening) = self.listening_mut(id) else { return };
        listening.item = None;
        listening.index += 1;
        match reshaped {
            Ok(output) => {
                listening.outputs.push(output);
                self.advance(id, kind, false);
            }
            Err(fault) => self.fail(id, fault),
        }
    }
}

impl Listening {
    /// Adds an event to those that are kept, in place: an array of its own would cost what all of them cost.
    fn keep(&mut self, item: Val) -> Result<(), Fault> {
        if let Val::Arr(events) = std::mem::take(&mut self.taken) {
            self.taken = assemble(|| Val::append(events, &[item]))?;
        }
        Ok(())
    }

    fn taken_len(&self) -> usize {
        if let Val::Arr(events) = &self.taken { events.items().len() } else { 0 }
    }
}

fn variables(strategy: &Strategy) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = strategy.filters.iter().flat_map(|filter| filter.vars()).collect();
    if let Some(Until::Events(until)) = &strategy.until {
        names.extend(until.filters.iter().flat_map(|filter| filter.vars()));
    }
    names
}

fn bound_filter(spec: &Arc<FilterSpec>, bound: &[(String, Val)]) -> EventFilter {
    EventFilter { spec: spec.clone(), bound: Bound(bound.to_vec()) }
}

/// What the event is to this listener, and by which filter.
fn taken(kind: &ListenTask, listening: &Listening, event: &Val) -> (Taken, Option<usize>) {
    if listening.op.is_none() {
        return (Taken::No, None);
    }
    let matches = |spec: &Arc<FilterSpec>| {
        let filter = bound_filter(spec, &listening.bound);
        let learned = filter.learned(event);
        let same = |(name, val): &(String, Val)| {
            listening.learned.iter().all(|(known, expected)| known != name || expected == val)
        };
        filter.matches_val(event) == Match::Yes && learned.iter().all(same)
    };
    if let Some(Until::Events(until)) = &kind.strategy.until {
        let position = until.filters.iter().position(matches);
        if position.is_some() || until.filters.is_empty() {
            return (Taken::Until, position);
        }
    }
    if kind.strategy.filters.is_empty() {
        return (Taken::Event, None);
    }
    let open = |position: &usize| kind.mode() != Mode::All || listening.met.get(*position) != Some(&true);
    let filters = kind.strategy.filters.iter().enumerate();
    let position = filters
        .filter(|(position, spec)| open(position) && matches(spec))
        .map(|(position, _)| position)
        .next();
    (if position.is_some() { Taken::Event } else { Taken::No }, position)
}

fn read(how: Read, event: &Val) -> Val {
    match how {
        Read::Envelope => event.clone(),
        Read::Raw => event.get("data_base64").or_else(|| event.get("data")).cloned().unwrap_or_default(),
        Read::Data => event.get("data").cloned().unwrap_or_default(),
    }
}
