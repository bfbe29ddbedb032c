//! The parts of events that have tables, and their columns.
//!
//! Invariant: what is added or changed by a table is told as the API tells it.
//! Not here: finding what a row is about (`parts`).

use super::{Column, Layout};
use crate::app::parts::{Hung, Placed};
use crate::app::{budget, tasks};
use crate::face::problem::Problem;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::TaskId;
use openevent_domain::planning::budget::Item;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::form::{Form, Presence};
use openevent_domain::planning::sheet::Kind;
use openevent_domain::planning::task::Task;
use openevent_store::WriteSet;
use openevent_store::planning::parts::Branch;

/// A part that has a table.
pub trait Listed: Placed + Send + 'static {
    /// Its columns.
    const LAYOUT: &'static Layout;
    /// What the audit log calls its imports.
    const ACT: &'static str;

    /// One nobody has said anything of.
    fn blank(event: &Event) -> Self;
    /// Reads what a form says of it.
    fn fill(&mut self, form: &mut Form, presence: Presence, now: Millis);
    /// What tells it from others.
    fn key(&self) -> String;
    /// What it waits for.
    fn blocked_by(&self) -> &[TaskId];
    /// Adds a new one to a set, with what is told of it.
    fn add(
        app: &App,
        set: &mut WriteSet,
        branch: &Branch,
        new: &Hung<Self>,
        now: Millis,
    ) -> Result<(), Problem>;
    /// Adds a change to a set, with what is told of it.
    fn change(
        app: &App,
        set: &mut WriteSet,
        branch: &Branch,
        change: (&Hung<Self>, &Hung<Self>),
        now: Millis,
    ) -> Result<(), Problem>;
}

impl Listed for Task {
    const ACT: &'static str = "task.import";
    const LAYOUT: &'static Layout = &Layout {
        what: "tasks",
        columns: &[
            Column::new("title", Kind::Text),
            Column::new("description", Kind::Text),
            Column::new("category", Kind::Text),
            Column::kept("priority", Kind::Text),
            Column::kept("status", Kind::Text),
            Column::new("dueDate", Kind::Time),
            Column::new("assignee", Kind::Text),
            Column::new("blockedBy", Kind::Texts),
            Column::new("links", Kind::Texts),
        ],
        shown: &[
            ("eventId", Kind::Text),
            ("completedAt", Kind::Time),
            ("createdAt", Kind::Time),
            ("updatedAt", Kind::Time),
        ],
        key: &["title"],
    };

    fn blank(_event: &Event) -> Self {
        Self::default()
    }

    fn fill(&mut self, form: &mut Form, presence: Presence, now: Millis) {
        self.read(form, presence, now);
    }

    fn key(&self) -> String {
        self.title.clone()
    }

    fn blocked_by(&self) -> &[TaskId] {
        &self.blocked_by
    }

    fn add(
        app: &App,
        set: &mut WriteSet,
        branch: &Branch,
        new: &Hung<Self>,
        now: Millis,
    ) -> Result<(), Problem> {
        tasks::add(app, set, branch, new, now)
    }

    fn change(
        app: &App,
        set: &mut WriteSet,
        branch: &Branch,
        change: (&Hung<Self>, &Hung<Self>),
        now: Millis,
    ) -> Result<(), Problem> {
        tasks::alter(app, set, branch, change, now)
    }
}

impl Listed for Item {
    const ACT: &'static str = "budget.import";
    const LAYOUT: &'static Layout = &Layout {
        what: "budget",
        columns: &[
            Column::new("category", Kind::Text),
            Column::new("name", Kind::Text),
            Column::new("estimatedAmount", Kind::Number),
            Column::new("actualAmount", Kind::Number),
            Column::kept("currency", Kind::Text),
            Column::kept("status", Kind::Text),
            Column::new("vendorId", Kind::Text),
            Column::new("sponsorId", Kind::Text),
            Column::new("notes", Kind::Text),
        ],
        shown: &[("eventId", Kind::Text), ("createdAt", Kind::Time), ("updatedAt", Kind::Time)],
        key: &["category", "name"],
    };

    fn blank(event: &Event) -> Self {
        Self { currency: budget::currency(event), ..Self::default() }
    }

    fn fill(&mut self, form: &mut Form, presence: Presence, _now: Millis) {
        self.read(form, presence);
    }

    fn key(&self) -> String {
        format!("{}\0{}", self.category, self.name)
    }

    fn blocked_by(&self) -> &[TaskId] {
        &[]
    }

    fn add(
        _app: &App,
        set: &mut WriteSet,
        branch: &Branch,
        new: &Hung<Self>,
        _now: Millis,
    ) -> Result<(), Problem> {
        set.add_part(branch, &new.record()?);
        Ok(())
    }

    fn change(
        _app: &App,
        set: &mut WriteSet,
        branch: &Branch,
        (before, after): (&Hung<Self>, &Hung<Self>),
        _now: Millis,
    ) -> Result<(), Problem> {
        set.change_part(branch, &after.record()?, before.version);
        Ok(())
    }
}
