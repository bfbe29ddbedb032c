//! Applications of vendors and sponsors to events.
//!
//! Invariant: an application is decided once; [`Outcome::on`] is all that a decision does to the relation of the pair,
//! and it says nothing of a relation that is what was decided already.
//! Not here: who may apply where (the server looks at the event and the directory).

use super::directory::{Side, email};
use super::form::{Form, Presence, amount, text, word};
use super::money::Amount;
use super::relation::Standing;
use crate::ambient::Millis;
use crate::id::RelationId;
use serde::{Deserialize, Serialize};

/// Characters of a message and of a reason.
pub const MESSAGE_CHARS_MAX: usize = 5_000;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of an id and of a tier.
const WORD_CHARS_MAX: usize = 100;

/// How far an application is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nobody looked.
    #[default]
    Pending,
    /// Somebody looks.
    UnderReview,
    /// They may come.
    Accepted,
    /// They may not.
    Rejected,
}

/// What an application ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They may come.
    Accepted,
    /// They may not.
    Rejected,
}

/// A step nobody may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an application cannot go from {} to {}", from.as_str(), to.as_str())]
pub struct IllegalStep {
    /// What it is.
    pub from: Stage,
    /// What it was to become.
    pub to: Stage,
}

impl Stage {
    /// All words.
    pub const ALL: [Self; 4] = [Self::Pending, Self::UnderReview, Self::Accepted, Self::Rejected];
    /// Those an organiser gives.
    pub const GIVEN: [Self; 3] = [Self::UnderReview, Self::Accepted, Self::Rejected];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::UnderReview => "under_review",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    /// What it ended with, if it ended.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Pending | Self::UnderReview => None,
            Self::Accepted => Some(Outcome::Accepted),
            Self::Rejected => Some(Outcome::Rejected),
        }
    }

    /// Goes on, or stays.
    pub fn go(self, to: Self) -> Result<Self, IllegalStep> {
        let is_allowed = self == to || (self.outcome().is_none() && to != Self::Pending);
        if is_allowed { Ok(to) } else { Err(IllegalStep { from: self, to }) }
    }
}

impl Outcome {
    /// What the relation of the pair becomes; `None` when it stays what it is. It `stands` like this since then.
    pub fn on(self, stands: Option<(Standing, Millis)>, applied_at: Millis) -> Option<Standing> {
        match (self, stands) {
            (Self::Accepted, Some((standing, _))) if standing.is_binding() => None,
            (Self::Accepted, _) => Some(Standing::Confirmed),
            (Self::Rejected, Some((Standing::Completed, _))) => None,
            // Who was declined and applied again is declined again; who was declined since then was told.
            (Self::Rejected, Some((Standing::Declined, since))) if since >= applied_at => None,
            (Self::Rejected, _) => Some(Standing::Declined),
        }
    }
}

/// Somebody's wish to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// As what.
    pub applicant_type: Side,
    /// Their entry of the directory.
    pub applicant_id: String,
    /// How far it is.
    pub status: Stage,
    /// What they say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What a vendor asks for, or a sponsor gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_budget: Option<Amount>,
    /// What a sponsor gives for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_tier: Option<String>,
    /// Who writes.
    pub contact_name: String,
    /// Where to answer.
    pub contact_email: String,
    /// Whether that is the address of the directory's entry.
    pub verified: bool,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection_reason: Option<String>,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Millis>,
    /// The relation it was decided to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation_id: Option<RelationId>,
}

impl Application {
    /// An application about which nothing is known.
    pub fn blank() -> Self {
        Self {
            applicant_type: Side::Vendor,
            applicant_id: String::new(),
            status: Stage::Pending,
            message: None,
            proposed_budget: None,
            proposed_tier: None,
            contact_name: String::new(),
            contact_email: String::new(),
            verified: false,
            rejection_reason: None,
            decided_at: None,
            relation_id: None,
        }
    }

    /// Reads what an applicant says. Answers whether it is known who they are.
    pub fn read(&mut self, form: &mut Form) -> bool {
        let side = word(Side::ALL, Side::as_str);
        let is_typed = form.require("applicantType", Presence::New, &mut self.applicant_type, side);
        let is_named =
            form.require("applicantId", Presence::New, &mut self.applicant_id, text(WORD_CHARS_MAX));
        form.change("message", &mut self.message, text(MESSAGE_CHARS_MAX));
        form.change("proposedBudget", &mut self.proposed_budget, amount);
        form.change("proposedTier", &mut self.proposed_tier, text(WORD_CHARS_MAX));
        form.require("contactName", Presence::New, &mut self.contact_name, text(NAME_CHARS_MAX));
        form.require("contactEmail", Presence::New, &mut self.contact_email, email);
        is_typed && is_named
    }

    /// Notes whether it comes from the address the directory knows; upper and lower case do not matter.
    pub fn verify(&mut self, known: Option<&str>) {
        self.verified = known.is_some_and(|known| known.to_lowercase() == self.contact_email.to_lowercase());
    }

    /// Whether the pair may not apply again yet.
    pub fn is_open(&self) -> bool {
        self.status.outcome().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_application_is_decided_once() {
        for from in Stage::ALL {
            for to in Stage::ALL {
                let is_open = matches!(from, Stage::Pending | Stage::UnderReview);
                let is_allowed = from == to || (is_open && to != Stage::Pending);
                assert_eq!(from.go(to).is_ok(), is_allowed, "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn a_decision_moves_the_relation_unless_it_is_that_already() {
        use Standing::{Completed, Confirmed, Declined, Inquiry, Negotiating};
        for (outcome, stands, becomes) in [
            (Outcome::Accepted, None, Some(Confirmed)),
            (Outcome::Accepted, Some((Inquiry, 1)), Some(Confirmed)),
            (Outcome::Accepted, Some((Negotiating, 9)), Some(Confirmed)),
            (Outcome::Accepted, Some((Declined, 1)), Some(Confirmed)),
            (Outcome::Accepted, Some((Confirmed, 9)), None),
            (Outcome::Accepted, Some((Completed, 9)), None),
            (Outcome::Rejected, None, Some(Declined)),
            (Outcome::Rejected, Some((Inquiry, 1)), Some(Declined)),
            (Outcome::Rejected, Some((Confirmed, 9)), Some(Declined)),
            (Outcome::Rejected, Some((Completed, 9)), None),
            (Outcome::Rejected, Some((Declined, 1)), Some(Declined)),
            (Outcome::Rejected, Some((Declined, 9)), None),
        ] {
            assert_eq!(outcome.on(stands, 5), becomes, "{outcome:?} {stands:?}");
        }
    }

    #[test]
    fn an_applicant_is_believed_by_the_directorys_address_only() {
        let body = json!({"applicantType": "sponsor", "applicantId": "dir_1", "contactName": "Ada",
            "contactEmail": "Ada@Bank.example", "verified": true, "status": "accepted"});
        let mut form = Form::of(body.as_object().cloned().unwrap());
        let mut application = Application::blank();
        assert!(application.read(&mut form));
        assert_eq!(form.finish(), Ok(vec!["status".to_owned(), "verified".to_owned()]));
        for (known, is_verified) in
            [(None, false), (Some("x@bank.example"), false), (Some("ada@bank.example"), true)]
        {
            application.verify(known);
            assert_eq!(application.verified, is_verified, "{known:?}");
        }
    }

    #[test]
    fn every_mistake_is_told() {
        let mut form =
            Form::of(json!({"applicantType": "guest", "proposedBudget": -1}).as_object().cloned().unwrap());
        assert!(!Application::blank().read(&mut form));
        let fields: Vec<_> = form.finish().unwrap_err().into_iter().map(|issue| issue.field).collect();
        assert_eq!(fields, ["applicantType", "applicantId", "proposedBudget", "contactName", "contactEmail"]);
    }
}
