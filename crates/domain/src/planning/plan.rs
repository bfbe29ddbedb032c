//! What organisers say about an event: its fields, their limits, and changing some of them.
//!
//! Invariant: a [`Plan`]'s JSON form is the API's. What was read by [`Plan::read`] without a refusal is within its
//! limits, and does not end before it starts.
//! Not here: status, ids, owner and times of the record (see `event`).

use super::form::{
    Form, Presence, amount, currency, flag, object, text, texts, time, url, whole, word, zone,
};
use super::money::{Amount, Currency};
use super::zone::Zone;
use crate::ambient::Millis;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 200;
/// Characters of a description, and of what sponsors get.
pub const DESCRIPTION_CHARS_MAX: usize = 10_000;
/// Characters of a type or a category.
pub const WORD_CHARS_MAX: usize = 100;
/// Characters of a venue's name.
pub const VENUE_CHARS_MAX: usize = 200;
/// Characters of a venue's address.
pub const ADDRESS_CHARS_MAX: usize = 500;
/// Characters of an address on the web.
pub const URL_CHARS_MAX: usize = 2_000;
/// Categories of vendors an event may seek.
pub const CATEGORIES_MAX: usize = 50;
/// Bytes of the requirements' JSON.
pub const REQUIREMENTS_BYTES_MAX: usize = 16_384;
/// People an event may expect.
pub const ATTENDEES_MAX: i64 = 1_000_000_000;

/// Where people meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocationType {
    /// In one place.
    InPerson,
    /// On the web.
    Virtual,
    /// Both.
    Hybrid,
}

impl LocationType {
    /// All words.
    pub const ALL: [Self; 3] = [Self::InPerson, Self::Virtual, Self::Hybrid];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InPerson => "in-person",
            Self::Virtual => "virtual",
            Self::Hybrid => "hybrid",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// A part of a public event that is hidden unless shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `budget`, `budgetCurrency`.
    Budget,
    /// `expectedAttendees`.
    Attendees,
    /// `venueName`, `venueAddress`.
    Venue,
    /// `requirements`.
    Requirements,
}

impl Part {
    /// All parts with the names of their switches.
    pub const SWITCHES: [(&'static str, Self); 4] = [
        ("showBudget", Self::Budget),
        ("showAttendees", Self::Attendees),
        ("showVenue", Self::Venue),
        ("showRequirements", Self::Requirements),
    ];

    fn names() -> String {
        Self::SWITCHES.map(|(name, _)| name).join(", ")
    }
}

/// Which parts of a public event are shown. Nothing is, unless it was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Switches", into = "Switches")]
pub struct Visibility(BTreeSet<Part>);

#[derive(Serialize, Deserialize)]
struct Switches(std::collections::BTreeMap<String, bool>);

impl From<Switches> for Visibility {
    fn from(Switches(switches): Switches) -> Self {
        let on = |name: &str| switches.get(name).copied().unwrap_or_default();
        Self(Part::SWITCHES.into_iter().filter(|(name, _)| on(name)).map(|(_, part)| part).collect())
    }
}

impl From<Visibility> for Switches {
    fn from(Visibility(parts): Visibility) -> Self {
        Self(
            Part::SWITCHES.into_iter().map(|(name, part)| (name.to_owned(), parts.contains(&part))).collect(),
        )
    }
}

impl Visibility {
    /// Whether a part is shown.
    pub fn shows(&self, part: Part) -> bool {
        self.0.contains(&part)
    }

    /// With the switches of a JSON object set; those it does not mention stay.
    fn with(mut self, switches: &Value) -> Result<Self, String> {
        let Value::Object(switches) = switches else { return Err("must be an object".to_owned()) };
        for (name, value) in switches {
            let part = Part::SWITCHES.iter().find(|(known, _)| known == name).map(|(_, part)| *part);
            match (part, value) {
                (None, _) => return Err(format!("has no `{name}`; it has {}", Part::names())),
                (Some(part), Value::Bool(true)) => drop(self.0.insert(part)),
                (Some(part), Value::Bool(false) | Value::Null) => drop(self.0.remove(&part)),
                _ => return Err(format!("`{name}` must be true or false")),
            }
        }
        Ok(self)
    }
}

/// What organisers say about an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// What it is called.
    pub title: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it starts.
    #[serde(rename = "startDate")]
    pub start_at: Millis,
    /// When it ends.
    #[serde(rename = "endDate", skip_serializing_if = "Option::is_none")]
    pub end_at: Option<Millis>,
    /// The clocks people there live by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Zone>,
    /// Conference, hackathon, workshop, meetup, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Where people meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_type: Option<LocationType>,
    /// The venue's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue_name: Option<String>,
    /// The venue's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue_address: Option<String>,
    /// Where it is on the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_platform: Option<String>,
    /// How many people may come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_attendees: Option<i64>,
    /// What it may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Amount>,
    /// In which currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_currency: Option<Currency>,
    /// Whether everybody may see it, once it is planned.
    pub is_public: bool,
    /// Whether vendors may apply.
    pub seeking_vendors: bool,
    /// Whether sponsors may apply.
    pub seeking_sponsors: bool,
    /// The kinds of vendors sought.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vendor_categories: Vec<String>,
    /// What sponsors get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsor_benefits: Option<String>,
    /// What vendors and sponsors have to know; any members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Map<String, Value>>,
    /// What the public sees of it.
    pub public_visibility: Visibility,
}

impl Plan {
    /// Reads what a form says of the plan, and leaves the rest as it is. `Presence::New` asks for what an event
    /// cannot be without.
    pub fn read(&mut self, form: &mut Form, presence: Presence) {
        form.require("title", presence, &mut self.title, text(TITLE_CHARS_MAX));
        let is_start_good = form.require("startDate", presence, &mut self.start_at, time);
        form.change("description", &mut self.description, text(DESCRIPTION_CHARS_MAX));
        let is_end_good = form.change("endDate", &mut self.end_at, time);
        form.change("timezone", &mut self.timezone, zone);
        form.change("eventType", &mut self.event_type, text(WORD_CHARS_MAX));
        form.change("locationType", &mut self.location_type, word(LocationType::ALL, LocationType::as_str));
        form.change("venueName", &mut self.venue_name, text(VENUE_CHARS_MAX));
        form.change("venueAddress", &mut self.venue_address, text(ADDRESS_CHARS_MAX));
        form.change("virtualPlatform", &mut self.virtual_platform, url(URL_CHARS_MAX));
        form.change("expectedAttendees", &mut self.expected_attendees, whole(0, ATTENDEES_MAX));
        form.change("budget", &mut self.budget, amount);
        form.change("budgetCurrency", &mut self.budget_currency, currency);
        form.set("isPublic", &mut self.is_public, flag);
        form.set("seekingVendors", &mut self.seeking_vendors, flag);
        form.set("seekingSponsors", &mut self.seeking_sponsors, flag);
        form.set("vendorCategories", &mut self.vendor_categories, texts(CATEGORIES_MAX, WORD_CHARS_MAX));
        form.change("sponsorBenefits", &mut self.sponsor_benefits, text(DESCRIPTION_CHARS_MAX));
        form.change("requirements", &mut self.requirements, object(REQUIREMENTS_BYTES_MAX));
        let shown = self.public_visibility.clone();
        form.set("publicVisibility", &mut self.public_visibility, |value| shown.with(&value));
        if is_start_good && is_end_good && self.end_at.is_some_and(|end| end < self.start_at) {
            form.refuse("endDate", "must not be before startDate");
        }
    }

    /// The members of its JSON form.
    pub fn members(&self) -> Map<String, Value> {
        // A plan is made of texts, numbers and JSON: it always has a form, and that is an object.
        serde_json::to_value(self).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default()
    }

    /// The names of the fields in which two plans differ, with what they are in this one; `null` where it is absent.
    pub fn differences(&self, before: &Self) -> Map<String, Value> {
        let (before, after) = (before.members(), self.members());
        let gone =
            before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), Value::Null));
        let mut changed: Map<_, _> = gone.collect();
        changed.extend(after.into_iter().filter(|(name, value)| before.get(name) != Some(value)));
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(plan: &mut Plan, presence: Presence, body: Value) -> Result<Vec<String>, Vec<String>> {
        let Value::Object(body) = body else { panic!("an object") };
        let mut form = Form::of(body);
        plan.read(&mut form, presence);
        form.finish().map_err(|issues| issues.into_iter().map(|issue| issue.field).collect())
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = json!({
            "title": " ", "startDate": "tomorrow", "description": "x".repeat(10_001), "endDate": 1.5,
            "timezone": "Mars/Olympus", "eventType": 7, "locationType": "cave", "virtualPlatform": "ftp://x",
            "expectedAttendees": -1, "budget": "a lot", "budgetCurrency": "QQQ", "isPublic": "yes",
            "vendorCategories": ["a", 1], "requirements": [], "publicVisibility": {"showAll": true},
        });
        let names = body.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let refused = read(&mut Plan::default(), Presence::New, body).unwrap_err();
        assert_eq!(refused.into_iter().collect::<BTreeSet<_>>(), names);
        assert_eq!(read(&mut Plan::default(), Presence::New, json!({})).unwrap_err(), ["title", "startDate"]);
    }

    #[test]
    fn limits_count_characters_and_text_is_trimmed() {
        let title = "ü".repeat(TITLE_CHARS_MAX);
        let mut plan = Plan::default();
        let body = json!({"title": format!("  {title}\n"), "startDate": 1_735_689_600_000_i64});
        assert_eq!(read(&mut plan, Presence::New, body), Ok(Vec::new()));
        assert_eq!(plan.title, title);
        let long = json!({"title": format!("{title}x")});
        assert_eq!(read(&mut plan, Presence::Known, long), Err(vec!["title".to_owned()]));
    }

    #[test]
    fn null_clears_what_may_be_absent_and_nothing_else() {
        let mut plan =
            Plan { title: "T".into(), description: Some("d".into()), is_public: true, ..Plan::default() };
        plan.vendor_categories = vec!["food".into()];
        let body = json!({"description": null, "isPublic": null, "vendorCategories": null, "venueName": " "});
        assert_eq!(read(&mut plan, Presence::Known, body), Ok(Vec::new()));
        assert_eq!(plan, Plan { title: "T".into(), ..Plan::default() });
        let required = json!({"title": null, "startDate": null});
        assert_eq!(read(&mut plan, Presence::Known, required).unwrap_err(), ["title", "startDate"]);
    }

    #[test]
    fn an_end_before_the_start_is_refused_whichever_of_them_moves() {
        let mut plan = Plan { title: "T".into(), start_at: 10, end_at: Some(20), ..Plan::default() };
        assert_eq!(
            read(&mut plan.clone(), Presence::Known, json!({"startDate": 21})).unwrap_err(),
            ["endDate"]
        );
        assert_eq!(read(&mut plan.clone(), Presence::Known, json!({"endDate": 9})).unwrap_err(), ["endDate"]);
        assert!(read(&mut plan, Presence::Known, json!({"startDate": 20})).is_ok());
    }

    #[test]
    fn switches_not_mentioned_stay() {
        let mut plan = Plan::default();
        for (body, shown) in [
            (json!({"showBudget": true}), [true, false]),
            (json!({"showVenue": true}), [true, true]),
            (json!({"showBudget": null}), [false, true]),
        ] {
            assert!(read(&mut plan, Presence::Known, json!({"publicVisibility": body})).is_ok());
            assert_eq!([Part::Budget, Part::Venue].map(|part| plan.public_visibility.shows(part)), shown);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(json!([])),
            Just(json!({"showVenue": true})),
        ]
    }

    fn body() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "title",
            "startDate",
            "endDate",
            "description",
            "timezone",
            "budget",
            "isPublic",
            "vendorCategories",
            "requirements",
            "publicVisibility",
            "userId",
            "_id",
            "createdAt",
            "expectedAttendees",
        ]);
        proptest::collection::vec((names, value()), 0..6)
            .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    proptest! {
        #[test]
        fn whatever_a_patch_says_only_its_fields_change_and_what_results_reads_back(body in body()) {
            let before = Plan { title: "T".into(), start_at: 5, end_at: Some(7), ..Plan::default() };
            let mut after = before.clone();
            if read(&mut after, Presence::Known, body.clone()).is_ok() {
                for name in after.differences(&before).keys() {
                    prop_assert!(body.get(name).is_some(), "{name} changed unasked");
                }
                prop_assert!(after.end_at.is_none_or(|end| end >= after.start_at));
                let kept: Plan = serde_json::from_str(&serde_json::to_string(&after).unwrap()).unwrap();
                prop_assert_eq!(&kept, &after);
                let mut again = after.clone();
                prop_assert!(read(&mut again, Presence::Known, body).is_ok());
                prop_assert_eq!(again, after, "a patch made twice is made once");
            }
        }
    }
}
