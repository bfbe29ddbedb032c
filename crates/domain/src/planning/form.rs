//! Reading what somebody filled in: one field after the other, every mistake gathered.
//!
//! Invariant: a slot changes only when its field was mentioned and good. Text is trimmed and holds no NUL, which
//! PostgreSQL could not store; blank text is no text.
//! Not here: which fields there are; HTTP.

use super::money::{Amount, Currency};
use super::zone::{EARLIEST, LATEST, Zone};
use crate::ambient::Millis;
use serde_json::{Map, Value};
use url::Url;

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The field.
    pub field: String,
    /// What is wrong, in plain words.
    pub issue: String,
}

/// Whether what is filled in is new or known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// New: required fields have to be there.
    New,
    /// Known: fields that are not mentioned stay.
    Known,
}

/// The fields of a JSON object, taken out one after another.
#[derive(Clone, Debug)]
pub struct Form {
    left: Map<String, Value>,
    issues: Vec<Issue>,
}

impl Form {
    /// Takes an object.
    pub fn of(left: Map<String, Value>) -> Self {
        Self { left, issues: Vec::new() }
    }

    /// Whether nothing is (or is left) in it.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether a field was given and is not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(|value| !value.is_null())
    }

    /// A field that cannot be absent. Answers whether the slot is good now.
    pub fn require<T>(
        &mut self,
        name: &str,
        presence: Presence,
        slot: &mut T,
        read: impl FnOnce(Value) -> Result<Option<T>, String>,
    ) -> bool {
        let issue = match (self.left.remove(name), presence) {
            (None, Presence::Known) => return true,
            (None | Some(Value::Null), Presence::New) => "field is required".to_owned(),
            (Some(Value::Null), Presence::Known) => "cannot be cleared".to_owned(),
            (Some(value), _) => match read(value) {
                Ok(Some(value)) => {
                    *slot = value;
                    return true;
                }
                Ok(None) => "must not be blank".to_owned(),
                Err(issue) => issue,
            },
        };
        self.refuse(name, issue);
        false
    }

    /// A field that may be absent; `null` makes it so. Answers whether the slot is good now.
    pub fn change<T>(
        &mut self,
        name: &str,
        slot: &mut Option<T>,
        read: impl FnOnce(Value) -> Result<Option<T>, String>,
    ) -> bool {
        self.set(name, slot, read)
    }

    /// A field with a value it has when nobody says anything; `null` brings it back.
    pub fn set<T: Default>(
        &mut self,
        name: &str,
        slot: &mut T,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> bool {
        match self.left.remove(name) {
            None => true,
            Some(Value::Null) => {
                *slot = T::default();
                true
            }
            Some(value) => match read(value) {
                Ok(value) => {
                    *slot = value;
                    true
                }
                Err(issue) => {
                    self.refuse(name, issue);
                    false
                }
            },
        }
    }

    /// A field read on its own; absent and `null` are equal.
    pub fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<Option<T>, String>,
    ) -> Option<T> {
        let mut slot = None;
        self.change(name, &mut slot, read);
        slot
    }

    /// Notes a mistake.
    pub fn refuse(&mut self, name: &str, issue: impl Into<String>) {
        self.issues.push(Issue { field: name.to_owned(), issue: issue.into() });
    }

    /// Ends reading: the names nobody asked for, or every mistake.
    pub fn finish(self) -> Result<Vec<String>, Vec<Issue>> {
        if self.issues.is_empty() {
            Ok(self.left.into_iter().map(|(name, _)| name).collect())
        } else {
            Err(self.issues)
        }
    }
}

/// A text of at most so many characters; blank is none.
pub fn text(chars_max: usize) -> impl FnOnce(Value) -> Result<Option<String>, String> {
    move |value| {
        let Value::String(text) = value else { return Err("must be a text".to_owned()) };
        let text = text.trim();
        if text.contains('\0') {
            return Err("must not contain NUL".to_owned());
        }
        if text.chars().count() > chars_max {
            return Err(format!("must have at most {chars_max} characters"));
        }
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }
}

/// A list of texts, blanks and repetitions left out.
pub fn texts(count_max: usize, chars_max: usize) -> impl FnOnce(Value) -> Result<Vec<String>, String> {
    move |value| {
        let Value::Array(items) = value else { return Err("must be a list of texts".to_owned()) };
        if items.len() > count_max {
            return Err(format!("must have at most {count_max} items"));
        }
        let mut texts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let read = text(chars_max)(item).map_err(|issue| format!("item {index} {issue}"))?;
            texts.extend(read.filter(|text| !texts.contains(text)));
        }
        Ok(texts)
    }
}

/// One of a few words.
pub fn word<T: Copy, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> impl FnOnce(Value) -> Result<Option<T>, String> {
    move |value| {
        let found = value.as_str().and_then(|text| all.into_iter().find(|one| name(*one) == text.trim()));
        found.map(Some).ok_or_else(|| format!("must be one of: {}", all.map(&name).join(", ")))
    }
}

/// A whole number within bounds.
pub fn whole(min: i64, max: i64) -> impl FnOnce(Value) -> Result<Option<i64>, String> {
    move |value| {
        let number = integer(&value).filter(|number| (min..=max).contains(number));
        number.map(Some).ok_or_else(|| format!("must be a whole number from {min} to {max}"))
    }
}

/// A time in Unix milliseconds.
pub fn time(value: Value) -> Result<Option<Millis>, String> {
    let time = integer(&value).filter(|time| (EARLIEST..=LATEST).contains(time));
    time.map(Some).ok_or_else(|| "must be a time in Unix milliseconds".to_owned())
}

/// True or false.
pub fn flag(value: Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "must be true or false".to_owned())
}

/// An amount of money, as a number or as its digits.
pub fn amount(value: Value) -> Result<Option<Amount>, String> {
    let amount = match &value {
        Value::Number(number) => Amount::of_json(number),
        Value::String(text) => Amount::parse(text.trim()),
        _ => return Err("must be a number".to_owned()),
    };
    amount.map(Some).map_err(|bad| bad.to_string())
}

/// A currency's code.
pub fn currency(value: Value) -> Result<Option<Currency>, String> {
    let code = value.as_str().unwrap_or_default().trim();
    Currency::parse(code).map(Some).map_err(|bad| bad.to_string())
}

/// A time zone's name.
pub fn zone(value: Value) -> Result<Option<Zone>, String> {
    let name = value.as_str().unwrap_or_default().trim();
    Zone::parse(name).map(Some).map_err(|bad| bad.to_string())
}

/// An address on the web.
pub fn url(chars_max: usize) -> impl FnOnce(Value) -> Result<Option<String>, String> {
    move |value| {
        let Some(address) = text(chars_max)(value)? else { return Ok(None) };
        let parsed = Url::parse(&address).ok();
        let is_web = parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if is_web { Ok(Some(address)) } else { Err("must be an http or https URL".to_owned()) }
    }
}

/// A JSON object of at most so many bytes.
pub fn object(bytes_max: usize) -> impl FnOnce(Value) -> Result<Option<Map<String, Value>>, String> {
    move |value| {
        let text = value.to_string();
        let Value::Object(object) = value else { return Err("must be an object".to_owned()) };
        if text.contains("\\u0000") {
            return Err("must not contain NUL".to_owned());
        }
        if text.len() > bytes_max {
            Err(format!("must have at most {bytes_max} bytes"))
        } else {
            Ok(Some(object))
        }
    }
}

/// A whole number, also one written `1e3` or `7.0`.
fn integer(value: &Value) -> Option<i64> {
    let whole = |number: f64| {
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
    };
    value.as_i64().or_else(|| value.as_f64().and_then(whole))
}
