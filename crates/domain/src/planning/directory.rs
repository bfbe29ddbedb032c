//! The directory: vendors and sponsors of the whole instance, reviewed by its admins.
//!
//! Invariant: what somebody enters about themselves never says how good or how genuine they are; only an admin does.
//! Not here: who belongs to which event.

use super::form::{Form, Presence, amount, flag, text, texts, url, whole, word};
use super::money::Amount;
use crate::ambient::Millis;
use serde::{Deserialize, Serialize};

/// Characters of a name, a place, a person.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a category or an industry.
pub const GROUP_CHARS_MAX: usize = 100;
/// Characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 10_000;
/// Items of a list.
pub const ITEMS_MAX: usize = 50;
const URL_CHARS_MAX: usize = 2_000;
const CONTACT_CHARS_MAX: usize = 320;
const COUNT_MAX: i64 = 1_000_000_000;

/// Which half of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// They sell.
    Vendor,
    /// They give.
    Sponsor,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Vendor, Self::Sponsor];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Sponsor => "sponsor",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.as_str() == text)
    }

    /// The field that sorts them: what vendors sell, what sponsors live from.
    pub fn group_field(self) -> &'static str {
        match self {
            Self::Vendor => "category",
            Self::Sponsor => "industry",
        }
    }
}

/// Who writes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// An admin: everything.
    Admin,
    /// The vendor or sponsor: everything but what others say of them.
    Themselves,
}

/// What vendors charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriceRange {
    /// Little.
    Budget,
    /// As usual.
    Mid,
    /// Much.
    Premium,
}

impl PriceRange {
    /// All words.
    pub const ALL: [Self; 3] = [Self::Budget, Self::Mid, Self::Premium];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Mid => "mid",
            Self::Premium => "premium",
        }
    }
}

/// What is said of a vendor or a sponsor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    /// Who they are.
    pub name: String,
    /// What a vendor sells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What a sponsor lives from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    /// What they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a vendor offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Where a vendor is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What a vendor charges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_range: Option<PriceRange>,
    /// What a sponsor gives for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sponsorship_tiers: Vec<String>,
    /// The least a sponsor gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_min: Option<Amount>,
    /// The most a sponsor gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_max: Option<Amount>,
    /// What a sponsor gives to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_event_types: Vec<String>,
    /// Whom a sponsor wants to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_audience: Option<String>,
    /// Their address on the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// Their picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// How good a vendor is, from 0 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<Amount>,
    /// How many said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_count: Option<i64>,
    /// Whether they are who they say they are.
    pub verified: bool,
    /// Whom to ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_name: Option<String>,
    /// Where to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_email: Option<String>,
    /// Where to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_phone: Option<String>,
}

impl Profile {
    /// Reads what a form says, and leaves the rest as it is.
    pub fn read(&mut self, form: &mut Form, side: Side, presence: Presence, author: Author) {
        form.require("name", presence, &mut self.name, text(NAME_CHARS_MAX));
        let group = if side == Side::Vendor { &mut self.category } else { &mut self.industry };
        let mut word = group.clone().unwrap_or_default();
        form.require(side.group_field(), presence, &mut word, text(GROUP_CHARS_MAX));
        *group = Some(word).filter(|word| !word.is_empty());
        form.change("description", &mut self.description, text(DESCRIPTION_CHARS_MAX));
        form.change("website", &mut self.website, url(URL_CHARS_MAX));
        form.change("logoUrl", &mut self.logo_url, url(URL_CHARS_MAX));
        form.change("contactName", &mut self.contact_name, text(NAME_CHARS_MAX));
        form.change("contactEmail", &mut self.contact_email, email);
        form.change("contactPhone", &mut self.contact_phone, text(GROUP_CHARS_MAX));
        match side {
            Side::Vendor => self.read_vendor(form, author),
            Side::Sponsor => self.read_sponsor(form),
        }
        if author == Author::Admin {
            form.set("verified", &mut self.verified, flag);
        }
    }

    fn read_vendor(&mut self, form: &mut Form, author: Author) {
        form.set("services", &mut self.services, texts(ITEMS_MAX, NAME_CHARS_MAX));
        form.change("location", &mut self.location, text(NAME_CHARS_MAX));
        form.change("priceRange", &mut self.price_range, word(PriceRange::ALL, PriceRange::as_str));
        if author == Author::Admin {
            form.change("rating", &mut self.rating, rating);
            form.change("reviewCount", &mut self.review_count, whole(0, COUNT_MAX));
        }
    }

    fn read_sponsor(&mut self, form: &mut Form) {
        form.set("sponsorshipTiers", &mut self.sponsorship_tiers, texts(ITEMS_MAX, NAME_CHARS_MAX));
        form.set("targetEventTypes", &mut self.target_event_types, texts(ITEMS_MAX, NAME_CHARS_MAX));
        form.change("targetAudience", &mut self.target_audience, text(DESCRIPTION_CHARS_MAX));
        let is_min_good = form.change("budgetMin", &mut self.budget_min, amount);
        let is_max_good = form.change("budgetMax", &mut self.budget_max, amount);
        let is_turned = matches!((self.budget_min, self.budget_max), (Some(min), Some(max)) if max < min);
        if is_min_good && is_max_good && is_turned {
            form.refuse("budgetMax", "must not be less than budgetMin");
        }
    }

    /// What a vendor sells, or a sponsor lives from.
    pub fn group(&self) -> &str {
        self.category.as_deref().or(self.industry.as_deref()).unwrap_or_default()
    }

    /// The profile without the ways to reach them.
    #[must_use]
    pub fn without_contacts(self) -> Self {
        Self { contact_name: None, contact_email: None, contact_phone: None, ..self }
    }
}

fn rating(value: serde_json::Value) -> Result<Option<Amount>, String> {
    let rating = amount(value)?;
    let is_good = rating.is_none_or(|rating| rating.thousandths() <= 5_000);
    if is_good { Ok(rating) } else { Err("must be from 0 to 5".to_owned()) }
}

/// An e-mail address, as far as one can tell without writing to it.
pub fn email(value: serde_json::Value) -> Result<Option<String>, String> {
    let Some(address) = text(CONTACT_CHARS_MAX)(value)? else { return Ok(None) };
    let is_plausible = address.split_once('@').is_some_and(|(who, host)| {
        !who.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains('@')
    }) && !address.contains(char::is_whitespace);
    if is_plausible { Ok(Some(address)) } else { Err("must be an e-mail address".to_owned()) }
}

/// What the admins say to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// Nothing yet.
    Pending,
    /// It is shown.
    Approved {
        /// Since when.
        at: Millis,
    },
    /// It is not.
    Rejected {
        /// Since when.
        at: Millis,
        /// Why.
        reason: Option<String>,
    },
}

impl Review {
    /// The words on the wire and in the store.
    pub const WORDS: [&'static str; 3] = ["pending", "approved", "rejected"];

    /// Its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// When it was decided.
    pub fn at(&self) -> Option<Millis> {
        match self {
            Self::Pending => None,
            Self::Approved { at } | Self::Rejected { at, .. } => Some(*at),
        }
    }

    /// Why it was rejected.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Rejected { reason, .. } => reason.as_deref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(
        profile: &mut Profile,
        side: Side,
        author: Author,
        body: &Value,
    ) -> Result<Vec<String>, Vec<String>> {
        let mut form = Form::of(body.as_object().cloned().unwrap_or_default());
        profile.read(&mut form, side, Presence::New, author);
        form.finish().map_err(|issues| issues.into_iter().map(|issue| issue.field).collect())
    }

    #[test]
    fn nobody_praises_themselves() {
        let body =
            json!({"name": "Cakes", "category": "catering", "verified": true, "rating": 5, "reviewCount": 9});
        let mut profile = Profile::default();
        let ignored = read(&mut profile, Side::Vendor, Author::Themselves, &body).unwrap();
        assert_eq!(ignored, ["rating", "reviewCount", "verified"]);
        assert!(!profile.verified && profile.rating.is_none());
        assert_eq!(read(&mut profile, Side::Vendor, Author::Admin, &body), Ok(Vec::new()));
        assert!(profile.verified && profile.group() == "catering");
    }

    #[test]
    fn every_mistake_is_told() {
        let body = json!({"priceRange": "cheap", "contactEmail": "me@", "website": "x", "rating": 6, "services": "all"});
        let refused = read(&mut Profile::default(), Side::Vendor, Author::Admin, &body).unwrap_err();
        assert_eq!(
            refused,
            ["name", "category", "website", "contactEmail", "services", "priceRange", "rating"]
        );
        let body = json!({"name": "B", "industry": "tech", "budgetMin": 5, "budgetMax": 4});
        let refused = read(&mut Profile::default(), Side::Sponsor, Author::Admin, &body).unwrap_err();
        assert_eq!(refused, ["budgetMax"]);
    }
}
