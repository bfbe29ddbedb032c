//! An event: a plan with a life, an owner and a history of changes.
//!
//! Invariant: `version` grows by one with every effective change, and `updated_at` never goes back. A change that
//! changes nothing yields no new event.
//! Not here: what hangs on an event.

use super::plan::Plan;
use super::status::{IllegalTransition, State, Status};
use crate::ambient::Millis;
use crate::id::EventId;
use serde_json::{Map, Value};

/// A planned gathering, with its plan or with what stands for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<P = Plan> {
    /// Its id.
    pub id: EventId,
    /// What organisers say about it.
    pub plan: P,
    /// Where it stands.
    pub state: State,
    /// Counts its changes, from 1.
    pub version: i64,
    /// Who made it.
    pub owner: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The event as it is now.
    pub event: Event,
    /// The fields that changed, with what they are now; `null` where they are absent.
    pub fields: Map<String, Value>,
    /// What it was before, if it moved.
    pub previous: Option<Status>,
}

impl Event {
    /// A new event.
    pub fn new(id: EventId, plan: Plan, state: State, owner: String, now: Millis) -> Self {
        Self { id, plan, state, version: 1, owner, created_at: now, updated_at: now }
    }

    /// The event with another plan and perhaps another status; `None` when that is what it is already.
    pub fn change(
        &self,
        plan: Plan,
        status: Option<Status>,
        now: Millis,
    ) -> Result<Option<Changed>, IllegalTransition> {
        let now = now.max(self.updated_at);
        let state = status.map_or(Ok(self.state), |status| self.state.go(status, now))?;
        let mut fields = plan.differences(&self.plan);
        let previous = Some(self.state.status()).filter(|before| *before != state.status());
        if previous.is_some() {
            fields.insert("status".to_owned(), state.status().as_str().into());
        }
        if fields.is_empty() {
            return Ok(None);
        }
        let event = Self { plan, state, version: self.version + 1, updated_at: now, ..self.clone() };
        Ok(Some(Changed { event, fields, previous }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let plan = Plan { title: "T".into(), description: Some("d".into()), ..Plan::default() };
        Event::new(EventId::trusted("evt_1".into()), plan, State::Draft, "key_1".into(), 10)
    }

    #[test]
    fn a_change_tells_what_it_changed_and_one_that_changes_nothing_is_none() {
        let event = event();
        let plan = Plan { title: "U".into(), description: None, ..event.plan.clone() };

        let changed = event.change(plan, Some(Status::Planning), 9).unwrap().unwrap();

        let told: Vec<_> =
            changed.fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        assert_eq!(
            told,
            [("description", Value::Null), ("status", "planning".into()), ("title", "U".into())]
        );
        assert_eq!((changed.previous, changed.event.version), (Some(Status::Draft), 2));
        assert_eq!((changed.event.updated_at, changed.event.created_at), (10, 10), "time does not go back");
        assert_eq!(event.change(event.plan.clone(), Some(Status::Draft), 11), Ok(None));
    }

    #[test]
    fn an_illegal_move_changes_nothing_else_either() {
        let event = event();
        let plan = Plan { title: "U".into(), ..event.plan.clone() };
        assert!(event.change(plan, Some(Status::Completed), 11).is_err());
    }
}
