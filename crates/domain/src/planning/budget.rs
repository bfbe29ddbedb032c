//! The budget of an event: items, and what they come to.
//!
//! Invariant: sums are exact, and never over two currencies.
//! Not here: exchange rates.

use super::form::{Form, Presence, amount, currency, text, word};
use super::money::{Amount, Currency, as_number};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Characters of a category.
pub const CATEGORY_CHARS_MAX: usize = 100;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of notes.
pub const NOTES_CHARS_MAX: usize = 5_000;
/// Characters of a link to a vendor or sponsor.
const ID_CHARS_MAX: usize = 100;

/// How certain an item is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// Perhaps.
    #[default]
    Planned,
    /// Promised.
    Committed,
    /// Paid.
    Paid,
    /// Not any more; it counts nowhere.
    Cancelled,
}

impl Certainty {
    /// All words.
    pub const ALL: [Self; 4] = [Self::Planned, Self::Committed, Self::Paid, Self::Cancelled];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Committed => "committed",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Something that costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Item {
    /// What it is for.
    pub category: String,
    /// What it is.
    pub name: String,
    /// What it may cost.
    pub estimated_amount: Amount,
    /// What it did cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_amount: Option<Amount>,
    /// In which currency.
    pub currency: Currency,
    /// How certain it is.
    pub status: Certainty,
    /// The vendor who gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// The sponsor it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsor_id: Option<String>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

impl Item {
    /// Reads what a form says of the item, and leaves the rest as it is.
    pub fn read(&mut self, form: &mut Form, presence: Presence) {
        form.require("category", presence, &mut self.category, text(CATEGORY_CHARS_MAX));
        form.require("name", presence, &mut self.name, text(NAME_CHARS_MAX));
        form.require("estimatedAmount", presence, &mut self.estimated_amount, amount);
        form.change("actualAmount", &mut self.actual_amount, amount);
        form.require("currency", Presence::Known, &mut self.currency, currency);
        let certainty = word(Certainty::ALL, Certainty::as_str);
        form.set("status", &mut self.status, |value| certainty(value).map(Option::unwrap_or_default));
        form.change("vendorId", &mut self.vendor_id, text(ID_CHARS_MAX));
        form.change("sponsorId", &mut self.sponsor_id, text(ID_CHARS_MAX));
        form.change("notes", &mut self.notes, text(NOTES_CHARS_MAX));
    }
}

/// What items come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// The estimates of all that is not cancelled.
    #[serde(serialize_with = "number")]
    pub planned: Decimal,
    /// What is promised or paid: what it did cost where that is known, else its estimate.
    #[serde(serialize_with = "number")]
    pub committed: Decimal,
    /// What it did cost, where that is known.
    #[serde(serialize_with = "number")]
    pub actual: Decimal,
    /// Planned less actual.
    #[serde(serialize_with = "number")]
    pub remaining: Decimal,
}

fn number<S: serde::Serializer>(number: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    as_number(*number, serializer)
}

impl Sums {
    fn add(&mut self, item: &Item) {
        let (estimated, actual) = (item.estimated_amount.decimal(), item.actual_amount.map(Amount::decimal));
        self.planned += estimated;
        if matches!(item.status, Certainty::Committed | Certainty::Paid) {
            self.committed += actual.unwrap_or(estimated);
        }
        self.actual += actual.unwrap_or_default();
        self.remaining = self.planned - self.actual;
    }
}

/// What the items of one currency come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// All together.
    pub total: Sums,
    /// By category.
    pub categories: BTreeMap<String, Sums>,
}

/// Adds items up, by currency.
pub fn sums<'a>(items: impl IntoIterator<Item = &'a Item>) -> BTreeMap<Currency, Book> {
    let mut books: BTreeMap<Currency, Book> = BTreeMap::new();
    for item in items.into_iter().filter(|item| item.status != Certainty::Cancelled) {
        let book = books.entry(item.currency).or_default();
        book.total.add(item);
        book.categories.entry(item.category.clone()).or_default().add(item);
    }
    books
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn item(category: &str, code: &str, estimated: &str, actual: Option<&str>, status: Certainty) -> Item {
        Item {
            category: category.into(),
            name: "n".into(),
            estimated_amount: Amount::parse(estimated).unwrap(),
            actual_amount: actual.map(|text| Amount::parse(text).unwrap()),
            currency: Currency::parse(code).unwrap(),
            status,
            ..Item::default()
        }
    }

    #[test]
    fn a_budget_adds_up_by_currency_and_category() {
        let items = [
            item("food", "EUR", "0.1", Some("0.3"), Certainty::Paid),
            item("food", "EUR", "0.2", None, Certainty::Committed),
            item("hall", "EUR", "1000.005", None, Certainty::Planned),
            item("hall", "USD", "5", Some("7"), Certainty::Planned),
            item("hall", "EUR", "99", Some("99"), Certainty::Cancelled),
        ];
        let books = sums(&items);
        let shown = |code: &str| json!(books[&Currency::parse(code).unwrap()].total);
        assert_eq!(
            shown("EUR"),
            json!({"planned": 1000.305, "committed": 0.5, "actual": 0.3, "remaining": 1000.005})
        );
        assert_eq!(shown("USD"), json!({"planned": 5, "committed": 0, "actual": 7, "remaining": -2}));
        let food = &books[&Currency::parse("EUR").unwrap()].categories["food"];
        assert_eq!(json!(food), json!({"planned": 0.3, "committed": 0.5, "actual": 0.3, "remaining": 0}));
    }

    #[test]
    fn an_item_needs_what_it_is_for_and_what_it_may_cost() {
        let mut form = Form::of(json!({"currency": null, "status": "maybe"}).as_object().unwrap().clone());
        Item::default().read(&mut form, Presence::New);
        let fields: Vec<_> = form.finish().unwrap_err().into_iter().map(|issue| issue.field).collect();
        assert_eq!(fields, ["category", "name", "estimatedAmount", "currency", "status"]);
    }

    proptest! {
        #[test]
        fn no_cent_is_lost_whatever_is_added(amounts in proptest::collection::vec(0..=999_999_999_999_999_i64, 0..60)) {
            let items: Vec<_> = amounts.iter().map(|thousandths| Item {
                estimated_amount: Amount::trusted(*thousandths), ..item("c", "EUR", "0", None, Certainty::Planned)
            }).collect();
            let exact: i128 = amounts.iter().map(|amount| i128::from(*amount)).sum();
            let total = sums(&items).into_values().next().map(|book| book.total.planned).unwrap_or_default();
            prop_assert_eq!(total, Decimal::from_i128_with_scale(exact, 3));
        }
    }
}
