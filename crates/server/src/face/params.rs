//! Query strings, read so that nothing in them can fail.
//!
//! Invariant: broken percent-encoding and broken UTF-8 are replaced, never an error; of two equal names the
//! last wins.
//! Not here: pages and cursors (see `list`).

use super::problem::Problem;
use axum::extract::FromRequestParts;
use http::request::Parts;
use openevent_domain::ambient::Millis;
use std::convert::Infallible;
use url::form_urlencoded;

/// The parameters of a query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string.
    pub fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter; empty is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(given, _)| given == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A parameter that must be one of `words`; `all` is no filter.
    pub fn one_of<T: Clone>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(given) = self.get(name).filter(|given| *given != "all") else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == given) {
            return Ok(Some(value.clone()));
        }
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        Err(Problem::field(name, format!("must be one of: {}", words.join(", "))))
    }

    /// A parameter that is true or false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.one_of(name, &[("true", true), ("false", false)])
    }

    /// A time in Unix milliseconds.
    pub fn time(&self, name: &str) -> Result<Option<Millis>, Problem> {
        let refuse = || Problem::field(name, "must be a time in Unix milliseconds");
        self.get(name).map(|text| text.parse().map_err(|_| refuse())).transpose()
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.query().unwrap_or("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_encodings_are_read_as_far_as_they_go() {
        let params = Params::of("a=%&b=%ff&c=1&c=2&d&=x&&");
        assert_eq!((params.get("a"), params.get("c"), params.get("d")), (Some("%"), Some("2"), None));
        assert!(params.get("b").is_some());
    }

    #[test]
    fn an_unknown_word_is_refused_and_all_is_no_filter() {
        let words = [("open", 1), ("closed", 2)];
        assert_eq!(Params::of("s=closed").one_of("s", &words).unwrap(), Some(2));
        assert_eq!(Params::of("s=all").one_of("s", &words).unwrap(), None);
        assert!(Params::of("s=ajar").one_of("s", &words).is_err());
    }
}
