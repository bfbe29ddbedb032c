//! The process's environment, read once and passed on as a value.
//!
//! Invariant: an empty variable counts as one that is not set; values are taken as text, never guessed at
//! (`COMPOZY_API_TOKEN=0123` stays `0123`).
//! Not here: what the values mean (`settings.rs`).

use super::layers::KEYS;
use secrecy::SecretString;
use std::collections::BTreeMap;

/// What every variable of ours begins with.
const PREFIX: &str = "OPENEVENT_";

/// Variables under other names that set a key, weakest first: a later one wins over an earlier, and all of
/// them but the token lose against the variable under our own name.
const FOREIGN: [(&str, &str); 2] = [("RUST_LOG", "log"), ("DATABASE_URL", "database_url")];

/// The documented name of the token, which wins over `OPENEVENT_API_TOKEN`.
const TOKEN: (&str, &str) = ("COMPOZY_API_TOKEN", "api_token");

/// What variables that hold a secret begin with; the rest of the name is the secret's, in capitals.
const SECRET: &str = "OPENEVENT_SECRET_";

/// Variables of ours that are no settings of the server but of a command.
const COMMAND_ONLY: [&str; 4] =
    ["OPENEVENT_CONFIG", "OPENEVENT_URL", "OPENEVENT_API_KEY", "OPENEVENT_WEBHOOK_SECRET"];

/// Variables by name. Those that are not UTF-8 are left out.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

/// One variable that sets a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variable<'a> {
    /// As it is called outside.
    pub(crate) name: &'a str,
    /// The key it sets.
    pub(crate) key: &'static str,
    /// Its text.
    pub(crate) value: &'a str,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).filter(|(_, value)| !value.is_empty()).collect())
    }

    /// An environment for tests.
    #[cfg(test)]
    pub(crate) fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let filled = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(filled.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A variable's text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables that set keys, weakest first.
    pub(crate) fn settings(&self) -> Vec<Variable<'_>> {
        let foreign = FOREIGN.iter().map(|(name, key)| (*name, *key));
        let own = self.0.keys().filter_map(|name| Some((name.as_str(), key_of(name)?)));
        let all = foreign.chain(own).chain([TOKEN]);
        all.filter_map(|(name, key)| Some(Variable { name, key, value: self.get(name)? })).collect()
    }

    /// Secrets, by the rest of their variable's name.
    pub(crate) fn secrets(&self) -> BTreeMap<String, SecretString> {
        let named = self.0.iter().filter_map(|(name, text)| Some((name.strip_prefix(SECRET)?, text)));
        let named = named.filter(|(name, _)| !name.is_empty());
        named.map(|(name, text)| (name.to_owned(), text.as_str().into())).collect()
    }

    /// Variables that look like ours and set nothing: mistyped, most likely.
    pub(crate) fn unknown(&self) -> Vec<&str> {
        let ours = self.0.keys().map(String::as_str).filter(|name| name.starts_with(PREFIX));
        let is_known =
            |name: &str| key_of(name).is_some() || COMMAND_ONLY.contains(&name) || name.starts_with(SECRET);
        ours.filter(|name| !is_known(name)).collect()
    }
}

/// `OPENEVENT_DATA_DIR` sets `data_dir`.
fn key_of(name: &str) -> Option<&'static str> {
    let rest = name.strip_prefix(PREFIX)?;
    KEYS.into_iter().find(|key| key.to_ascii_uppercase() == rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last<'a>(environment: &'a Environment, key: &str) -> Option<Variable<'a>> {
        environment.settings().into_iter().rfind(|variable| variable.key == key)
    }

    #[test]
    fn the_documented_token_wins_over_its_alias_unless_it_is_empty() {
        let both = Environment::from_pairs([("COMPOZY_API_TOKEN", "a"), ("OPENEVENT_API_TOKEN", "b")]);
        assert_eq!(last(&both, "api_token").map(|variable| variable.value), Some("a"));
        let empty = Environment::from_pairs([("COMPOZY_API_TOKEN", ""), ("OPENEVENT_API_TOKEN", "b")]);
        assert_eq!(last(&empty, "api_token").map(|variable| variable.value), Some("b"));
    }

    #[test]
    fn our_own_name_wins_over_a_borrowed_one() {
        let both = Environment::from_pairs([("RUST_LOG", "debug"), ("OPENEVENT_LOG", "warn")]);
        assert_eq!(last(&both, "log").map(|variable| variable.name), Some("OPENEVENT_LOG"));
    }

    #[test]
    fn a_mistyped_variable_is_found() {
        let environment =
            Environment::from_pairs([("OPENEVENT_LISTN", "x"), ("OPENEVENT_URL", "x"), ("OTHER", "x")]);
        assert_eq!(environment.unknown(), ["OPENEVENT_LISTN"]);
    }

    #[test]
    fn a_secret_is_no_mistyped_setting() {
        let environment =
            Environment::from_pairs([("OPENEVENT_SECRET_MY_KEY", "x"), ("OPENEVENT_SECRET_", "y")]);
        assert!(environment.unknown().is_empty());
        assert_eq!(environment.secrets().into_keys().collect::<Vec<_>>(), ["MY_KEY"]);
    }
}
