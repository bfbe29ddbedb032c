//! What hangs on an event as tables: its tasks, its budget.
//!
//! Invariant: the event is read again for every batch, so nothing is written under one that is gone.
//! Not here: the rules (`app::tasks`, `app::budget`).

use super::export::{PAGE_ROWS, Pages};
use super::import::Verdict;
use super::listed::Listed;
use super::stored::{Decide, refused};
use super::{ID, Layout, Row};
use crate::app::audit::{Act, note};
use crate::app::events::again;
use crate::app::forms;
use crate::app::parts::{self, Hung, Part, branch};
use crate::face::caller::Caller;
use crate::face::problem::{FieldIssue, Problem};
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{EventId, Id, TaskId};
use openevent_domain::planning::event::Event;
use openevent_domain::planning::form::{Form, Presence};
use openevent_domain::planning::task::Graph;
use openevent_store::WriteSet;
use openevent_store::planning::parts::{Basis, Branch, Filter, Place};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The parts a list shows.
pub struct Written<P> {
    app: Arc<App>,
    branch: Branch,
    filter: Filter,
    place: Place,
    part: std::marker::PhantomData<P>,
}

impl<P: Listed> Written<P> {
    /// From the beginning of the list.
    pub fn new(app: Arc<App>, caller: &Caller, event: &EventId, filter: Filter) -> Self {
        let branch = branch::<P>(&caller.tenant, event);
        Self { app, branch, filter, place: Place::Offset(0), part: std::marker::PhantomData }
    }
}

impl<P: Listed> Pages for Written<P> {
    const LAYOUT: &'static Layout = P::LAYOUT;

    async fn next(&mut self) -> Result<Vec<Value>, Problem> {
        let rows = self.app.store.parts(&self.branch, &self.filter, &self.place, PAGE_ROWS).await?;
        if let Some(last) = rows.last() {
            self.place = Place::After(last.id.clone());
        }
        let shown = |row| {
            let part = Hung::<P>::of(row)?;
            serde_json::to_value(part.shown(&self.branch.event)).map_err(Problem::internal)
        };
        rows.into_iter().map(shown).collect()
    }
}

/// Where parts of a key are.
#[derive(Debug)]
enum Found {
    One(String),
    Several,
}

/// Parts that are read.
pub struct Read<'a, P> {
    app: &'a App,
    caller: &'a Caller,
    branch: Branch,
    now: Millis,
    /// What was there at the beginning, by what tells it apart: an id for each.
    there: HashMap<String, Found>,
    part: std::marker::PhantomData<P>,
}

/// A row on its way: what it is about, and what that is to be.
struct Draft<P: Part> {
    before: Option<Hung<P>>,
    after: Hung<P>,
}

impl<'a, P: Listed> Read<'a, P> {
    /// Somebody's parts of an event.
    pub async fn new(
        app: &'a App,
        caller: &'a Caller,
        event: &EventId,
        now: Millis,
    ) -> Result<Self, Problem> {
        let branch = branch::<P>(&caller.tenant, event);
        let (mut there, mut place) = (HashMap::new(), Place::Offset(0));
        loop {
            let rows = app.store.parts(&branch, &Filter::default(), &place, PAGE_ROWS).await?;
            let Some(last) = rows.last() else { break };
            place = Place::After(last.id.clone());
            for row in rows {
                let part = Hung::<P>::of(row)?;
                let id = part.id.as_str().to_owned();
                let slot = there.entry(part.body.key());
                slot.and_modify(|found| *found = Found::Several).or_insert(Found::One(id));
            }
        }
        Ok(Self { app, caller, branch, now, there, part: std::marker::PhantomData })
    }

    /// The id of what a row is about, if it is there.
    fn id<'r>(&'r self, row: &'r Row) -> Result<Option<&'r str>, FieldIssue> {
        if row.id.is_some() {
            return Ok(row.id.as_deref());
        }
        match self.there.get(&row.key(P::LAYOUT)) {
            None => Ok(None),
            Some(Found::One(id)) => Ok(Some(id)),
            Some(Found::Several) => {
                Err(FieldIssue::new(P::LAYOUT.key.join(", "), "is there more than once; give the id"))
            }
        }
    }

    async fn known(&self, rows: &[Row]) -> Result<HashMap<String, Hung<P>>, Problem> {
        let ids: Vec<&str> = rows.iter().filter_map(|row| self.id(row).ok().flatten()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.app.store.parts_by_ids(&self.branch, &ids).await?;
        found.into_iter().map(|row| Ok((row.id.clone(), Hung::<P>::of(row)?))).collect()
    }

    /// What a row would make of what it is about; `None`: nothing new.
    fn draft(
        &self,
        row: &Row,
        known: &mut HashMap<String, Hung<P>>,
        event: &Event,
    ) -> Result<Result<Draft<P>, Verdict>, Problem> {
        let refuse = |issue| Ok(Err(Verdict::Refused(vec![issue])));
        let id = match self.id(row) {
            Ok(id) => id,
            Err(issue) => return refuse(issue),
        };
        // Taken out, so that no two rows of a batch are about the same.
        let before = id.and_then(|id| known.remove(id));
        if before.is_none() && id.is_some() {
            return refuse(FieldIssue::new(ID, "is none of those that are here, or that of an earlier row"));
        }
        let (fields, presence) = match before {
            Some(_) => (row.of_known(P::LAYOUT), Presence::Known),
            None => (row.of_new(), Presence::New),
        };
        let mut body = before.as_ref().map_or_else(|| P::blank(event), |before| before.body.clone());
        let mut form = Form::of(fields);
        body.fill(&mut form, presence, self.now);
        if let Err(problem) = forms::finish(form) {
            return refused(problem).map(Err);
        }
        let Some(before) = before else {
            let id = P::Id::mint(self.now, self.app.chance.as_ref());
            return Ok(Ok(Draft { before: None, after: Hung::new(id, body, self.now) }));
        };
        Ok(match before.changed(body, self.now) {
            Some(after) => Ok(Draft { before: Some(before), after }),
            None => Err(Verdict::Unchanged(before.id.as_str().to_owned())),
        })
    }

    /// What waits for what, if a draft changes that.
    async fn graph(&self, drafts: &[Result<Draft<P>, Verdict>]) -> Result<Option<Graph>, Problem> {
        if !drafts.iter().flatten().any(Draft::is_tied) {
            return Ok(None);
        }
        let all = parts::all::<P>(self.app, &self.branch).await?;
        let node =
            |part: Hung<P>| (TaskId::trusted(part.id.as_str().to_owned()), part.body.blocked_by().to_vec());
        Ok(Some(Graph::of(all.into_iter().map(node))))
    }

    fn write(
        &self,
        draft: Result<Draft<P>, Verdict>,
        graph: Option<&mut Graph>,
        set: &mut WriteSet,
    ) -> Result<Verdict, Problem> {
        let draft = match draft {
            Ok(draft) => draft,
            Err(verdict) => return Ok(verdict),
        };
        if let Some(graph) = graph.filter(|_| draft.is_tied()) {
            let id = TaskId::trusted(draft.after.id.as_str().to_owned());
            let blocked_by = draft.after.body.blocked_by();
            if let Err(knot) = graph.check(&id, blocked_by) {
                return Ok(Verdict::Refused(vec![FieldIssue::new("blockedBy", knot.to_string())]));
            }
            graph.put(id, blocked_by.to_vec());
        }
        let Draft { before, after } = draft;
        let id = after.id.as_str().to_owned();
        match before {
            None => {
                P::add(self.app, set, &self.branch, &after, self.now)?;
                Ok(Verdict::Created(id))
            }
            Some(before) => {
                P::change(self.app, set, &self.branch, (&before, &after), self.now)?;
                Ok(Verdict::Updated(id))
            }
        }
    }
}

impl<P: Listed> Draft<P> {
    /// Whether it changes what waits for what.
    fn is_tied(&self) -> bool {
        let before = self.before.as_ref().map_or(&[][..], |before| before.body.blocked_by());
        before != self.after.body.blocked_by()
    }
}

impl<P: Listed> Decide for Read<'_, P> {
    const LAYOUT: &'static Layout = P::LAYOUT;
    const ACT: &'static str = P::ACT;

    async fn decide(&self, rows: &[Row], set: &mut WriteSet) -> Result<Vec<Verdict>, Problem> {
        let event = again(self.app, &self.branch.tenant, &self.branch.event).await?;
        let mut known = self.known(rows).await?;
        let drafts = rows
            .iter()
            .map(|row| self.draft(row, &mut known, &event.event))
            .collect::<Result<Vec<_>, _>>()?;
        let mut graph = self.graph(&drafts).await?;
        let verdicts = drafts
            .into_iter()
            .map(|draft| self.write(draft, graph.as_mut(), set))
            .collect::<Result<Vec<_>, _>>()?;
        if !set.is_empty() {
            let basis = if graph.is_some() { Basis::Touched(event.touched) } else { Basis::EventAlone };
            set.touch_event(&self.branch.tenant, &self.branch.event, basis);
        }
        Ok(verdicts)
    }

    fn note(&self, set: &mut WriteSet, act: Act<'_>) {
        let after = act.after.map(|mut after| {
            after["eventId"] = self.branch.event.as_str().into();
            after
        });
        note(self.app, set, self.caller, Act { after, ..act }, self.now);
    }
}
