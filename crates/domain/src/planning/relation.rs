//! Relations of an event to vendors and sponsors: how far they have come, and what they do to the budget.
//!
//! Invariant: [`Standing::go`] knows exactly the moves the contract allows; a sponsor's relation is never completed.
//! An item of the budget that somebody has changed by hand is left alone.
//! Not here: the entries themselves (see `directory`), adding budgets up (see `budget`).

use super::budget::{Certainty, Item};
use super::directory::{Profile, Side};
use super::form::{Form, amount, text};
use super::money::{Amount, Currency};
use crate::ambient::Millis;
use crate::id::{ApplicationId, BudgetItemId};
use serde::{Deserialize, Serialize};

/// Characters of a tier, and of a category.
pub const WORD_CHARS_MAX: usize = 100;
/// Characters of notes and benefits.
pub const NOTES_CHARS_MAX: usize = 5_000;

/// How far a relation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Somebody asked.
    #[default]
    Inquiry,
    /// They talk.
    Negotiating,
    /// They agreed.
    Confirmed,
    /// They did not.
    Declined,
    /// It is done; vendors only.
    Completed,
}

/// A move nobody may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a relation to a {} cannot go from {} to {}", side.as_str(), from.as_str(), to.as_str())]
pub struct IllegalMove {
    /// With whom.
    pub side: Side,
    /// What it is.
    pub from: Standing,
    /// What it was to become.
    pub to: Standing,
}

impl Standing {
    /// All words.
    pub const ALL: [Self; 5] =
        [Self::Inquiry, Self::Negotiating, Self::Confirmed, Self::Declined, Self::Completed];
    /// Those a new relation may have. An end is no beginning.
    pub const FIRST: [Self; 4] = [Self::Inquiry, Self::Negotiating, Self::Confirmed, Self::Declined];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inquiry => "inquiry",
            Self::Negotiating => "negotiating",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::Completed => "completed",
        }
    }

    /// Moves forward, takes a confirmation back, asks again; or stays.
    pub fn go(self, side: Side, to: Self) -> Result<Self, IllegalMove> {
        let is_allowed = match (self, to) {
            _ if self == to => true,
            (Self::Inquiry, Self::Negotiating | Self::Confirmed | Self::Declined)
            | (Self::Negotiating, Self::Confirmed | Self::Declined)
            | (Self::Confirmed, Self::Declined)
            | (Self::Declined, Self::Inquiry) => true,
            (Self::Confirmed, Self::Completed) => side == Side::Vendor,
            _ => false,
        };
        if is_allowed { Ok(to) } else { Err(IllegalMove { side, from: self, to }) }
    }

    /// Whether the other side is bound: what is agreed costs, and the event is not removed without a word.
    pub fn is_binding(self) -> bool {
        matches!(self, Self::Confirmed | Self::Completed)
    }

    /// Whether becoming this is told.
    pub fn is_told(self) -> bool {
        matches!(self, Self::Confirmed | Self::Declined)
    }
}

/// What is agreed with a vendor or a sponsor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Relation {
    /// The vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// The sponsor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsor_id: Option<String>,
    /// How far it is.
    pub status: Standing,
    /// Since when.
    pub status_changed_at: Millis,
    /// What a vendor is hired for, where that is not what they sell in general.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What a vendor asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_budget: Option<Amount>,
    /// What a vendor gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_budget: Option<Amount>,
    /// What a sponsor gives for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// What a sponsor gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// What a sponsor gets for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub benefits: Option<String>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The item of the budget that stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_item_id: Option<BudgetItemId>,
    /// The application that was decided last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
}

impl Relation {
    /// A relation to somebody, about whom nothing is said yet.
    pub fn to(side: Side, party: String, status: Standing, now: Millis) -> Self {
        let (vendor_id, sponsor_id) = match side {
            Side::Vendor => (Some(party), None),
            Side::Sponsor => (None, Some(party)),
        };
        Self { vendor_id, sponsor_id, status, status_changed_at: now, ..Self::default() }
    }

    /// Reads what a form says of the terms, and leaves the rest as it is.
    pub fn read(&mut self, form: &mut Form, side: Side) {
        match side {
            Side::Vendor => {
                form.change("category", &mut self.category, text(WORD_CHARS_MAX));
                form.change("proposedBudget", &mut self.proposed_budget, amount);
                form.change("finalBudget", &mut self.final_budget, amount);
            }
            Side::Sponsor => {
                form.change("tier", &mut self.tier, text(WORD_CHARS_MAX));
                form.change("amount", &mut self.amount, amount);
                form.change("benefits", &mut self.benefits, text(NOTES_CHARS_MAX));
            }
        }
        form.change("notes", &mut self.notes, text(NOTES_CHARS_MAX));
    }

    /// Moves to a standing, if it may.
    pub fn go(&mut self, side: Side, to: Standing, now: Millis) -> Result<(), IllegalMove> {
        let status = self.status.go(side, to)?;
        self.stand(status, now);
        Ok(())
    }

    /// Takes a standing that was decided elsewhere.
    pub fn stand(&mut self, status: Standing, now: Millis) {
        if status != self.status {
            self.status_changed_at = now.max(self.status_changed_at);
            self.status = status;
        }
    }

    /// With whom it is.
    pub fn party(&self) -> &str {
        self.vendor_id.as_deref().or(self.sponsor_id.as_deref()).unwrap_or_default()
    }

    /// The money it is about: what a vendor gets, else asks for; what a sponsor gives.
    pub fn money(&self) -> Option<Amount> {
        self.amount.or(self.final_budget).or(self.proposed_budget)
    }

    /// What a vendor costs. Sponsors cost nothing: what they give is in the relation only.
    pub fn cost(&self) -> Option<Amount> {
        self.money().filter(|_| self.vendor_id.is_some())
    }

    /// The same terms, to be talked about anew: nothing is agreed, and nothing stands in a budget.
    #[must_use]
    pub fn copied(self, now: Millis) -> Self {
        Self {
            status: Standing::Inquiry,
            status_changed_at: now,
            final_budget: None,
            budget_item_id: None,
            application_id: None,
            ..self
        }
    }
}

/// The item of the budget that a relation calls for once it is as it is now; `None` when the budget stays as it is.
/// `item` is the one that stands for it, if any; a new one is named after the vendor.
pub fn booked(
    before: Option<&Relation>,
    after: &Relation,
    item: Option<&Item>,
    vendor: &Profile,
    currency: Currency,
) -> Option<Item> {
    let binding = |relation: &Relation| relation.cost().filter(|_| relation.status.is_binding());
    let (was, is) = (before.and_then(binding), binding(after));
    let is_agreed_now = !before.is_some_and(|before| before.status.is_binding());
    let booked = match (was, is, item) {
        (_, Some(cost), None) if was != is => Item {
            category: after.category.clone().unwrap_or_else(|| vendor.group().to_owned()),
            name: vendor.name.clone(),
            estimated_amount: cost,
            currency,
            status: Certainty::Committed,
            vendor_id: after.vendor_id.clone(),
            ..Item::default()
        },
        (_, Some(cost), Some(item)) if is_agreed_now && is_open(item) => {
            Item { estimated_amount: cost, currency, status: Certainty::Committed, ..item.clone() }
        }
        (None, Some(cost), Some(item)) if is_open(item) => {
            Item { estimated_amount: cost, currency, status: Certainty::Committed, ..item.clone() }
        }
        (Some(was), Some(cost), Some(item)) if is_untouched(item, was) => {
            Item { estimated_amount: cost, ..item.clone() }
        }
        (Some(was), None, Some(item)) if is_untouched(item, was) => {
            Item { status: Certainty::Cancelled, ..item.clone() }
        }
        _ => return None,
    };
    (Some(&booked) != item).then_some(booked)
}

/// Whether nothing of it was paid.
fn is_open(item: &Item) -> bool {
    item.status != Certainty::Paid && item.actual_amount.is_none()
}

/// Whether it says of the money what the confirmation said.
fn is_untouched(item: &Item, was: Amount) -> bool {
    item.status == Certainty::Committed && item.actual_amount.is_none() && item.estimated_amount == was
}

#[cfg(test)]
mod tests {
    use super::Standing::{Completed, Confirmed, Declined, Inquiry, Negotiating};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn there_are_exactly_the_moves_of_the_contract() {
        let moves = [
            (Inquiry, Negotiating),
            (Inquiry, Confirmed),
            (Inquiry, Declined),
            (Negotiating, Confirmed),
            (Negotiating, Declined),
            (Confirmed, Declined),
            (Confirmed, Completed),
            (Declined, Inquiry),
        ];
        for side in Side::ALL {
            for from in Standing::ALL {
                for to in Standing::ALL {
                    let is_sponsors_end = side == Side::Sponsor && to == Completed && from != to;
                    let is_allowed = from == to || (moves.contains(&(from, to)) && !is_sponsors_end);
                    assert_eq!(from.go(side, to).is_ok(), is_allowed, "{side:?} {from:?} {to:?}");
                }
            }
        }
    }

    fn relation(status: Standing, cost: Option<i64>) -> Relation {
        let to = Relation::to(Side::Vendor, "dir_1".into(), status, 0);
        Relation { proposed_budget: cost.map(Amount::trusted), ..to }
    }

    fn vendor() -> Profile {
        Profile { name: "Cakes".into(), category: Some("catering".into()), ..Profile::default() }
    }

    fn book(before: Option<&Relation>, after: &Relation, item: Option<&Item>) -> Option<Item> {
        booked(before, after, item, &vendor(), Currency::default())
    }

    #[test]
    fn what_was_paid_or_changed_by_hand_is_left_alone() {
        let (open, agreed) = (relation(Inquiry, Some(5)), relation(Confirmed, Some(5)));
        let item = book(Some(&open), &agreed, None).expect("an item");
        assert_eq!((item.category.as_str(), item.name.as_str()), ("catering", "Cakes"));
        let dearer = relation(Confirmed, Some(6));
        let declined = relation(Declined, Some(5));
        let by_hand = [
            Item { status: Certainty::Paid, ..item.clone() },
            Item { actual_amount: Some(Amount::trusted(5)), ..item.clone() },
            Item { estimated_amount: Amount::trusted(7), ..item.clone() },
            Item { status: Certainty::Cancelled, ..item.clone() },
        ];
        for item in by_hand {
            assert_eq!(book(Some(&agreed), &dearer, Some(&item)), None);
            assert_eq!(book(Some(&agreed), &declined, Some(&item)), None);
        }
        let noted = Item { notes: Some("n".into()), ..item };
        assert_eq!(
            book(Some(&agreed), &declined, Some(&noted)).map(|item| item.status),
            Some(Certainty::Cancelled)
        );
    }

    #[test]
    fn a_sponsor_costs_nothing() {
        let given = Relation {
            amount: Some(Amount::trusted(9)),
            ..Relation::to(Side::Sponsor, "dir_2".into(), Confirmed, 0)
        };
        assert_eq!((given.money(), given.cost()), (Some(Amount::trusted(9)), None));
        assert_eq!(book(None, &given, None), None);
    }

    proptest! {
        /// Whatever is asked: what is not allowed changes nothing, a sponsor's relation is never completed, and after
        /// a confirmation nobody gets beyond it without declining it.
        #[test]
        fn a_relation_stays_on_its_ways(
            is_vendor in any::<bool>(),
            asked in proptest::collection::vec(0..5_usize, 0..40),
        ) {
            let side = if is_vendor { Side::Vendor } else { Side::Sponsor };
            let mut relation = Relation::to(side, "dir_1".into(), Inquiry, 0);
            for (now, to) in (1..).zip(asked.into_iter().map(|n| Standing::ALL[n])) {
                let before = relation.clone();
                if let Err(illegal) = relation.go(side, to, now) {
                    prop_assert_eq!(illegal, IllegalMove { side, from: before.status, to });
                    prop_assert_eq!(&relation, &before);
                    continue;
                }
                let is_same = before.status == to;
                prop_assert_eq!(relation.status, to);
                prop_assert_eq!(relation.status_changed_at, if is_same { before.status_changed_at } else { now });
                prop_assert!(to != Completed || (is_vendor && before.status.is_binding()));
                prop_assert!(before.status != Confirmed || matches!(to, Confirmed | Declined | Completed));
                prop_assert!(before.status != Completed || is_same);
            }
        }

        /// Nobody touches the budget by hand: then it says at any time what is agreed, once, and nothing else.
        #[test]
        fn a_budget_follows_its_relation(
            asked in proptest::collection::vec((0..5_usize, proptest::option::of(0..4_i64)), 0..40),
        ) {
            let (mut relation, mut item) = (relation(Inquiry, None), None);
            for (to, cost) in asked {
                let before = relation.clone();
                relation.proposed_budget = cost.map(Amount::trusted);
                if relation.go(Side::Vendor, Standing::ALL[to], 0).is_err() {
                    relation = before;
                    continue;
                }
                if let Some(booked) = book(Some(&before), &relation, item.as_ref()) {
                    prop_assert!(Some(&booked) != item.as_ref(), "a change that changes nothing");
                    item = Some(booked);
                }
                let counted = item.as_ref().filter(|item| item.status == Certainty::Committed);
                let agreed = relation.cost().filter(|_| relation.status.is_binding());
                prop_assert_eq!(counted.map(|item| item.estimated_amount), agreed);
            }
        }
    }
}
