//! Whom a demo event has to do with: its vendors and sponsors, and those who would like to be.
//!
//! Invariant: one relation for a pair, to approved entries only; how far it is fits how far the event is. A vendor who
//! is confirmed stands in the budget, as the rules of relations want it; a decided application names its relation.
//! Not here: the moves there are.

use super::dice::Dice;
use super::directory::{Party, party, trade};
use super::gathering::{DAY_MS, Kind, Made};
use super::places::City;
use super::{Season, words};
use crate::ambient::Millis;
use crate::id::{ApplicationId, BudgetItemId, RelationId};
use crate::planning::application::{Application, Stage};
use crate::planning::budget::{Certainty, Item};
use crate::planning::directory::{Review, Side};
use crate::planning::event::Event;
use crate::planning::money::Amount;
use crate::planning::relation::{Relation, Standing, booked};
use crate::planning::status::Status;

/// All that an event has with others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ties {
    /// Its vendors.
    pub vendors: Vec<Made<RelationId, Relation>>,
    /// Its sponsors.
    pub sponsors: Vec<Made<RelationId, Relation>>,
    /// Those who applied.
    pub applications: Vec<Made<ApplicationId, Application>>,
    /// What its vendors cost.
    pub items: Vec<Made<BudgetItemId, Item>>,
}

/// What ties are made from.
struct Knots<'a> {
    season: &'a Season,
    dice: &'a Dice,
    ids: &'a Dice,
    event: &'a Event,
    city: &'a City,
    made: Ties,
}

/// The ties of an event.
pub(super) fn ties(
    season: &Season,
    dice: &Dice,
    ids: &Dice,
    event: &Event,
    kind: &Kind,
    city: &City,
) -> Ties {
    let mut knots = Knots { season, dice, ids, event, city, made: Ties::default() };
    let is_draft = event.state.status() == Status::Draft;
    for side in Side::ALL {
        let (low, high) = if is_draft { (0, 1) } else { kind.ties(side) };
        let wanted = dice.between(low, high) as usize;
        let is_sought = match side {
            Side::Vendor => event.plan.seeking_vendors,
            Side::Sponsor => event.plan.seeking_sponsors,
        };
        let applicants = if is_sought { dice.between(0, 4) as usize } else { 0 };
        let mut parties = knots.parties(side, wanted + applicants).into_iter();
        for party in parties.by_ref().take(wanted) {
            knots.relate(&party);
        }
        for party in parties {
            let stage = if dice.percent(70) { Stage::Pending } else { Stage::UnderReview };
            knots.apply(&party, stage, None);
        }
    }
    knots.made
}

impl Knots<'_> {
    /// So many different approved entries of a side, or as many as are found without looking for long.
    fn parties(&self, side: Side, wanted: usize) -> Vec<Party> {
        let all = self.season.count(side);
        let mut indices = Vec::new();
        let mut parties = Vec::new();
        for _ in 0..wanted * 4 {
            let index = self.dice.below(all);
            if parties.len() == wanted || all == 0 || indices.contains(&index) {
                continue;
            }
            indices.push(index);
            let party = party(self.season, side, index);
            if matches!(party.review, Review::Approved { .. }) {
                parties.push(party);
            }
        }
        parties
    }

    fn standing(&self, side: Side) -> Standing {
        match (self.event.state.status(), self.dice.below(100)) {
            (Status::Completed, 0..80) if side == Side::Vendor => Standing::Completed,
            (Status::Completed, 0..80) | (Status::Active, 0..65) | (Status::Planning, 0..20) => {
                Standing::Confirmed
            }
            (Status::Completed | Status::Cancelled, _)
            | (Status::Active, 80..)
            | (Status::Planning, 90..) => Standing::Declined,
            (Status::Active, _) | (Status::Planning, 20..55) => Standing::Negotiating,
            _ => Standing::Inquiry,
        }
    }

    /// When something was, between the event's making and now.
    fn since(&self) -> Millis {
        self.dice.between(
            self.event.created_at,
            self.season.now.min(self.event.plan.start_at).max(self.event.created_at),
        )
    }

    fn relate(&mut self, party: &Party) {
        let (dice, since) = (self.dice, self.since());
        let mut relation =
            Relation::to(party.side, party.id.as_str().to_owned(), self.standing(party.side), since);
        relation.notes = dice.percent(20).then(|| "Met at a site visit.".to_owned());
        match party.side {
            Side::Vendor => {
                let asked = self.price(party);
                relation.proposed_budget = Some(asked);
                relation.final_budget =
                    relation.status.is_binding().then(|| part_of(asked, dice.between(88, 100)));
            }
            Side::Sponsor => {
                relation.amount = Some(self.price(party));
                relation.tier = party.profile.sponsorship_tiers.first().cloned();
                relation.benefits.clone_from(&self.event.plan.sponsor_benefits);
            }
        }
        let created_at = self.event.created_at;
        let id = RelationId::mint(created_at, self.ids);
        self.book(party, &mut relation);
        if let Some(stage) = decided(relation.status).filter(|_| dice.percent(30)) {
            relation.application_id = Some(self.apply(party, stage, Some((&id, since))));
        }
        let made = Made { id, body: relation, created_at };
        match party.side {
            Side::Vendor => self.made.vendors.push(made),
            Side::Sponsor => self.made.sponsors.push(made),
        }
    }

    /// Puts what a confirmed vendor costs into the budget.
    fn book(&mut self, party: &Party, relation: &mut Relation) {
        let currency = self.event.plan.budget_currency.unwrap_or_default();
        let Some(item) = booked(None, relation, None, &party.profile, currency) else { return };
        let is_paid = self.event.state.status() == Status::Completed;
        let status = if is_paid { Certainty::Paid } else { item.status };
        let body = Item { status, actual_amount: relation.cost().filter(|_| is_paid), ..item };
        let id = BudgetItemId::mint(self.event.created_at, self.ids);
        relation.budget_item_id = Some(id.clone());
        self.made.items.push(Made { id, body, created_at: self.event.created_at });
    }

    fn price(&self, party: &Party) -> Amount {
        let trade = trade(party.side, party.index);
        let euros = trade.day_price * self.dice.between(60, 180) / 100;
        Amount::trusted(euros * self.city.price_level * 1_000)
    }

    fn apply(
        &mut self,
        party: &Party,
        stage: Stage,
        decided: Option<(&RelationId, Millis)>,
    ) -> ApplicationId {
        let dice = self.dice;
        let until = decided.map_or(self.season.now, |(_, at)| at);
        let created_at = dice.between((until - 30 * DAY_MS).max(self.event.created_at.min(until)), until);
        let id = ApplicationId::mint(created_at, self.ids);
        let profile = &party.profile;
        let is_known = dice.percent(80);
        let known = profile.contact_email.clone().filter(|_| is_known);
        let mut body = Application {
            applicant_type: party.side,
            applicant_id: party.id.as_str().to_owned(),
            status: stage,
            message: Some(self.message(party)),
            proposed_budget: dice.percent(70).then(|| self.price(party)),
            proposed_tier: profile.sponsorship_tiers.last().cloned(),
            contact_name: profile.contact_name.clone().unwrap_or_else(|| "Front office".to_owned()),
            contact_email: known.unwrap_or_else(|| "office@example.org".to_owned()),
            rejection_reason: (stage == Stage::Rejected)
                .then(|| "We have found somebody closer by.".to_owned()),
            decided_at: decided.map(|(_, at)| at),
            relation_id: decided.map(|(id, _)| id.clone()),
            ..Application::blank()
        };
        body.verify(profile.contact_email.as_deref());
        self.made.applications.push(Made { id: id.clone(), body, created_at });
        id
    }

    fn message(&self, party: &Party) -> String {
        let offers: Vec<_> = match party.side {
            Side::Vendor => party.profile.services.clone(),
            Side::Sponsor => {
                party.profile.sponsorship_tiers.iter().map(|tier| format!("a {tier} package")).collect()
            }
        };
        let offers = words::listed(&offers);
        let opening = self.dice.pick(&[
            "We would be glad to bring",
            "For an event like yours we usually offer",
            "We were there last year and can offer",
        ]);
        format!("{opening} {offers}. We are free on your dates.")
    }
}

/// How an application ended whose pair stands like this.
fn decided(standing: Standing) -> Option<Stage> {
    match standing {
        Standing::Confirmed | Standing::Completed => Some(Stage::Accepted),
        Standing::Declined => Some(Stage::Rejected),
        Standing::Inquiry | Standing::Negotiating => None,
    }
}

fn part_of(amount: Amount, percent: i64) -> Amount {
    Amount::trusted(amount.thousandths() / 100 * percent / 1_000 * 1_000)
}
