//! What stands for secrets in a run, put on and taken off at its border.
//!
//! Invariant: only stand-ins ever enter a run; only what this run was given is replaced on the way out, so that a
//! stand-in somebody else wrote stays text. What comes back is searched for the real values before a run sees it.
//! Not here: the real values (`vault`); who asks for them (the interpreter, by `Call::Secrets`).

use crate::vault::{Secret, Vault, VaultError};
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use openevent_domain::ambient::Chance;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Fault, FaultKind, Input, Resource, secret_stand_in};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// Brackets that hardly any text holds.
const BEGIN: &str = "\u{27e6}secret:";
const END: char = '\u{27e7}';
/// Random bytes of a stand-in.
const NONCE_BYTES: usize = 8;
/// What people see of a secret.
pub(crate) const MASK: &str = "***";
/// Shorter values are not searched for: they would be found everywhere.
const SOUGHT_CHARS_MIN: usize = 4;
/// RFC 3986's unreserved characters stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Stand-ins for the secrets of these names that exist: what a run keeps as `$secrets`.
pub(crate) async fn stand_ins(
    vault: &Vault,
    tenant: &Tenant,
    names: &[String],
    chance: &dyn Chance,
) -> Result<Value, VaultError> {
    let mut nonce = [0; NONCE_BYTES];
    chance.fill(&mut nonce);
    let nonce = openevent_domain::api_key::hex(&nonce);
    let mut given = Map::new();
    for name in names {
        let stand_in = match vault.get(tenant, name).await?.as_deref() {
            None => continue,
            Some(Secret::Text(_)) => format!("{BEGIN}{nonce}:{name}{END}").into(),
            Some(Secret::Fields(fields)) => {
                let field = |field: &String| {
                    (field.clone(), Value::from(format!("{BEGIN}{nonce}:{name}.{field}{END}")))
                };
                fields.keys().map(field).collect()
            }
        };
        given.insert(name.clone(), stand_in);
    }
    Ok(Value::Object(given))
}

/// A stand-in and what it stands for.
struct Pair {
    stand_in: String,
    /// For people: `name` or `name.field`.
    label: String,
    /// `None`: it was there when the run began and is no more.
    real: Option<SecretString>,
}

/// One run's stand-ins.
#[derive(Default)]
pub(crate) struct Veil {
    pairs: Vec<Pair>,
    /// Looks for the stand-ins as they are and percent-encoded, in turn; made when first needed.
    search: OnceLock<Option<AhoCorasick>>,
    /// What was made of secrets for one call, such as a token: nothing stands for it.
    made: Vec<SecretString>,
}

impl Veil {
    /// The veil of a run whose `$secrets` is this.
    pub(crate) async fn of(vault: &Vault, tenant: &Tenant, given: &Value) -> Result<Self, VaultError> {
        let mut pairs = Vec::new();
        for (name, value) in given.as_object().into_iter().flatten() {
            let secret = vault.get(tenant, name).await?;
            let real = |field: Option<&str>| secret.as_ref().and_then(|secret| secret.part(field)).cloned();
            match value {
                Value::String(stand_in) => {
                    pairs.push(Pair { stand_in: stand_in.clone(), label: name.clone(), real: real(None) });
                }
                Value::Object(fields) => pairs.extend(fields.iter().filter_map(|(field, value)| {
                    let stand_in = value.as_str()?.to_owned();
                    Some(Pair { stand_in, label: format!("{name}.{field}"), real: real(Some(field)) })
                })),
                _ => {}
            }
        }
        Ok(Self { pairs, ..Self::default() })
    }

    /// The veil of a policy in a definition that is being read: there is no run yet, so the interpreter put its own
    /// stand-ins for members of these secrets there.
    pub(crate) async fn of_policy(
        vault: &Vault,
        tenant: &Tenant,
        resource: &Resource,
        names: &[String],
    ) -> Result<Self, VaultError> {
        let text = serde_json::json!(resource).to_string();
        let mut pairs = Vec::new();
        for name in names {
            // What a stand-in of this secret looks like around its member.
            let around = secret_stand_in(name, "\n");
            let Some((begin, end)) = around.split_once('\n') else { continue };
            for member in text.split(begin).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0)) {
                let secret = vault.get(tenant, name).await?;
                let real = secret.as_deref().and_then(|secret| match secret {
                    Secret::Text(text) => Some(text),
                    Secret::Fields(_) => secret.part(Some(member)),
                });
                let label = format!("{name}.{member}");
                pairs.push(Pair { stand_in: secret_stand_in(name, member), label, real: real.cloned() });
            }
        }
        Ok(Self { pairs, ..Self::default() })
    }

    /// From now on hides this as well.
    pub(crate) fn hide(&mut self, made: SecretString) {
        self.made.push(made);
    }

    /// The text with the real values in it; percent-encoded where the stand-in is.
    pub(crate) fn reveal(&self, text: &str) -> Result<String, Fault> {
        if self.pairs.is_empty() {
            return Ok(text.to_owned());
        }
        let patterns = || self.pairs.iter().flat_map(|pair| [pair.stand_in.clone(), encoded(&pair.stand_in)]);
        let search = self.search.get_or_init(|| search(patterns().collect()));
        let Some(search) = search else { return Ok(text.to_owned()) };
        let mut revealed = String::with_capacity(text.len());
        let mut gone = None;
        search.replace_all_with(text, &mut revealed, |found, _, revealed| {
            let pattern = found.pattern().as_usize();
            let pair = &self.pairs[pattern / 2];
            match &pair.real {
                Some(real) if pattern % 2 == 0 => revealed.push_str(real.expose_secret()),
                Some(real) => revealed.push_str(&encoded(real.expose_secret())),
                None => gone = Some(&pair.label),
            }
            gone.is_none()
        });
        gone.map_or(Ok(revealed), |label| Err(absent(label)))
    }

    /// A value with the real values in its texts and names.
    pub(crate) fn reveal_json(&self, value: Value) -> Result<Value, Fault> {
        if self.pairs.is_empty() { Ok(value) } else { walk(value, &mut |text| self.reveal(text)) }
    }

    /// The same for whatever is written as JSON.
    pub(crate) fn reveal_all<T: Serialize + DeserializeOwned>(&self, given: T) -> Result<T, Fault> {
        if self.pairs.is_empty() {
            return Ok(given);
        }
        let wrong = |_| Fault::new(FaultKind::Runtime, "the call cannot be written as JSON");
        let value = self.reveal_json(serde_json::to_value(given).map_err(wrong)?)?;
        serde_json::from_value(value).map_err(wrong)
    }

    /// Searches what came back.
    pub(crate) fn conceal(&self) -> Concealer {
        let mut patterns: Vec<(String, String)> = Vec::new();
        let reals = self.pairs.iter().filter_map(|pair| Some((pair.real.as_ref()?, pair.stand_in.as_str())));
        let made = self.made.iter().map(|made| (made, MASK));
        for (real, shown) in reals.chain(made) {
            let real = real.expose_secret();
            if real.chars().count() < SOUGHT_CHARS_MIN {
                continue;
            }
            let in_json = Value::from(real).to_string();
            let base64 = base64::engine::general_purpose::STANDARD.encode(real);
            let mut forms =
                vec![real.to_owned(), encoded(real), in_json.trim_matches('"').to_owned(), base64];
            forms.dedup();
            patterns.extend(forms.into_iter().map(|form| (form, shown.to_owned())));
        }
        let (sought, shown): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        Concealer { search: search(sought), shown }
    }
}

/// Puts stand-ins where real values are.
pub(crate) struct Concealer {
    search: Option<AhoCorasick>,
    shown: Vec<String>,
}

impl Concealer {
    /// A text.
    pub(crate) fn text(&self, text: String) -> String {
        match &self.search {
            Some(search) if search.is_match(&text) => search.replace_all(&text, &self.shown),
            _ => text,
        }
    }

    /// Bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.search {
            Some(search) => search.replace_all_bytes(bytes, &self.shown),
            None => bytes.to_vec(),
        }
    }

    /// A value's texts, names and numbers.
    pub(crate) fn json(&self, value: Value) -> Value {
        let Some(search) = &self.search else { return value };
        let numbers_too = |value: Value| match value {
            Value::Number(number) if search.is_match(&number.to_string()) => number.to_string().into(),
            other => other,
        };
        let concealed = walk(each(value, &numbers_too), &mut |text| Ok(self.text(text.to_owned())));
        concealed.unwrap_or_default()
    }

    /// An answer or a failure as a whole.
    pub(crate) fn input(&self, input: Input) -> Input {
        if self.search.is_none() {
            return input;
        }
        match input {
            Input::Done { op, value } => Input::Done { op, value: self.json(value) },
            Input::Failed { op, mut error } => {
                error.detail = error.detail.map(|detail| self.text(detail));
                Input::Failed { op, error }
            }
            other => other,
        }
    }
}

/// `***` where a stand-in of any run is: for people, other runs and whoever listens to what a run emits.
pub fn mask(value: Value) -> Value {
    if holds_stand_in(&value) {
        walk(value, &mut |text| Ok(mask_text(text))).unwrap_or_default()
    } else {
        value
    }
}

/// The same for a text.
pub fn mask_text(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        masked.push_str(before);
        masked.push_str(MASK);
        rest = after.split_once(END).map_or("", |(_, tail)| tail);
    }
    masked.push_str(rest);
    masked
}

fn holds_stand_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(BEGIN),
        Value::Array(items) => items.iter().any(holds_stand_in),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains(BEGIN) || holds_stand_in(value))
        }
        _ => false,
    }
}

fn absent(label: &str) -> Fault {
    Fault::new(FaultKind::Authorization, format!("the secret `{label}` does not exist"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// `None` when there is nothing to look for. The longest of several that begin at one place is meant.
fn search(patterns: Vec<String>) -> Option<AhoCorasick> {
    if patterns.is_empty() {
        return None;
    }
    AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns).ok()
}

/// A value with every text and name replaced.
fn walk(value: Value, replace: &mut impl FnMut(&str) -> Result<String, Fault>) -> Result<Value, Fault> {
    Ok(match value {
        Value::String(text) => replace(&text)?.into(),
        Value::Array(items) => {
            items.into_iter().map(|item| walk(item, replace)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(members) => {
            let mut replaced = Map::new();
            for (name, member) in members {
                replaced.insert(replace(&name)?, walk(member, replace)?);
            }
            replaced.into()
        }
        scalar => scalar,
    })
}

/// A value with every scalar replaced.
fn each(value: Value, replace: &impl Fn(Value) -> Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| each(item, replace)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, each(member, replace))).collect()
        }
        scalar => replace(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn veil(pairs: &[(&str, Option<&str>)]) -> Veil {
        let pair = |(n, (label, real)): (usize, &(&str, Option<&str>))| Pair {
            stand_in: format!("{BEGIN}00112233445566{n:02}:{label}{END}"),
            label: (*label).to_owned(),
            real: real.map(SecretString::from),
        };
        Veil { pairs: pairs.iter().enumerate().map(pair).collect(), ..Veil::default() }
    }

    #[test]
    fn stand_ins_are_replaced_wherever_they_are_and_encoded_where_they_are_encoded() {
        let veil = veil(&[("key", Some("a b&c")), ("user.name", Some("me"))]);
        let (key, user) = (veil.pairs[0].stand_in.clone(), veil.pairs[1].stand_in.clone());

        let uri = veil.reveal(&format!("https://x.test/{user}?key={}", encoded(&key))).unwrap();
        let body = veil.reveal_json(json!({"k": [format!("<{key}>")], user.as_str(): 1})).unwrap();

        assert_eq!(uri, "https://x.test/me?key=a%20b%26c");
        assert_eq!(body, json!({"k": ["<a b&c>"], "me": 1}));
    }

    #[test]
    fn a_stand_in_of_another_run_stays_text() {
        let veil = veil(&[("key", Some("real"))]);
        let foreign = format!("{BEGIN}ffffffffffffffff:key{END}");

        assert_eq!(veil.reveal(&foreign).unwrap(), foreign);
    }

    #[test]
    fn a_secret_that_is_gone_is_an_authorization_fault() {
        let veil = veil(&[("key", None)]);
        let fault = veil.reveal(&veil.pairs[0].stand_in).unwrap_err();

        assert_eq!(fault.status, 403);
        assert!(fault.detail.is_some_and(|detail| detail.contains("`key`")));
    }

    #[test]
    fn what_comes_back_holds_stand_ins_in_place_of_values_in_every_spelling() {
        let mut veil =
            veil(&[("long", Some("hunter2\"x")), ("pin", Some("123")), ("number", Some("424242"))]);
        veil.hide("access-token".into());
        let (long, number) = (veil.pairs[0].stand_in.clone(), veil.pairs[2].stand_in.clone());
        let concealer = veil.conceal();

        let seen = concealer.json(json!({
            "plain": "it is hunter2\"x", "quoted": "{\"a\":\"hunter2\\\"x\"}", "encoded": "hunter2%22x",
            "short": "123", "n": 424_242, "token": "Bearer access-token", "hunter2\"x": true,
        }));

        assert_eq!(seen["plain"], format!("it is {long}"));
        assert_eq!(seen["quoted"], format!("{{\"a\":\"{long}\"}}"));
        assert_eq!((&seen["encoded"], &seen["n"]), (&json!(long), &json!(number)));
        assert_eq!((&seen["short"], &seen["token"]), (&json!("123"), &json!("Bearer ***")));
        assert_eq!(seen[&long], true);
    }

    #[test]
    fn a_value_like_a_part_of_a_stand_in_does_not_break_it() {
        let veil = veil(&[("a", Some("secret")), ("b", Some("secretive"))]);
        let seen = veil.conceal().text("secret secretive".to_owned());

        assert_eq!(seen, format!("{} {}", veil.pairs[0].stand_in, veil.pairs[1].stand_in));
        assert_eq!(veil.reveal(&seen).unwrap(), "secret secretive");
    }

    #[test]
    fn people_see_a_mask() {
        let stand_in = format!("{BEGIN}0011223344556677:key{END}");
        let shown =
            mask(json!({"a": [format!("Bearer {stand_in}, {stand_in}")], stand_in.as_str(): 1, "b": 2}));

        assert_eq!(shown, json!({"a": ["Bearer ***, ***"], "***": 1, "b": 2}));
        assert_eq!(mask_text(&format!("cut {BEGIN}00")), "cut ***");
    }

    proptest::proptest! {
        #[test]
        fn no_value_is_left_in_what_comes_back_and_all_of_them_go_out_again(
            values in proptest::collection::vec("[^*\\u{27e6}\\u{27e7}]{4,12}", 1..4),
            between in "[a-z \"%]{0,3}",
        ) {
            let labels: Vec<String> = (0..values.len()).map(|n| format!("s{n}")).collect();
            let pairs: Vec<_> = labels.iter().zip(&values).map(|(label, value)| (label.as_str(), Some(value.as_str()))).collect();
            let veil = veil(&pairs);
            let text = values.join(&between);

            let seen = veil.conceal().json(json!({"text": text, "each": &values}));

            let shown = mask(seen.clone());
            proptest::prop_assert_eq!(&shown["each"], &json!(vec![MASK; values.len()]));
            let shown = shown["text"].as_str().unwrap_or_default();
            proptest::prop_assert!(values.iter().all(|value| !shown.contains(value.as_str())), "{shown}");
            proptest::prop_assert_eq!(&veil.reveal_json(seen["each"].clone()).unwrap(), &json!(values));
        }

        #[test]
        fn a_stand_in_that_was_not_given_is_never_replaced(nonce in "[0-9a-f]{16}", before in ".{0,8}", after in ".{0,8}") {
            let veil = veil(&[("key", Some("the real value"))]);
            let foreign = format!("{before}{BEGIN}{nonce}:key{END}{after}");
            proptest::prop_assume!(!foreign.contains(&veil.pairs[0].stand_in));
            proptest::prop_assert_eq!(veil.reveal(&foreign).unwrap(), foreign);
        }
    }
}
