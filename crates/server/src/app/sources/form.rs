//! What can be said of a source.
//!
//! Invariant: every mistake of a body is in one refusal; what was read may be stored as it is, and compiles.
//! Not here: when it may be changed.

use super::VARIABLES;
use openevent_domain::inbound::{Algorithm, Encoding, Key, Preset, Rule, Shape};
use openevent_domain::planning::form::{Form, Presence, text, texts, word};
use openevent_flow::Expression;
use openevent_store::sources::{SourceRecord, Status};
use serde_json::{Map, Value, json};

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;
/// Characters of an expression.
const EXPRESSION_CHARS_MAX: usize = 4_096;
/// Secrets of a source; more than one while its sender changes from one to the next.
const SECRETS_MAX: usize = 5;
/// Characters of a secret.
const SECRET_CHARS_MAX: usize = 1_024;
/// Characters of what a rule says.
const RULE_CHARS_MAX: usize = 200;

/// The expressions an owner may write.
pub(super) const EXPRESSIONS: [&str; 3] = ["eventName", "eventId", "payload"];

/// What somebody filled in.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) name: String,
    pub(super) preset: Preset,
    pub(super) options: Map<String, Value>,
    /// Only when it was mentioned.
    pub(super) status: Option<Status>,
    /// Only when they were mentioned.
    pub(super) secrets: Option<Vec<String>>,
}

impl Default for Filled {
    fn default() -> Self {
        Self { name: String::new(), preset: Preset::None, options: Map::new(), status: None, secrets: None }
    }
}

impl Filled {
    /// What a source has now.
    pub(super) fn of(source: &SourceRecord) -> Self {
        let SourceRecord { name, options, .. } = source.clone();
        Self { name, preset: super::preset(source), options, status: None, secrets: None }
    }

    /// Reads a body. `has_secrets`: whether there are some already.
    pub(super) fn read(&mut self, form: &mut Form, presence: Presence, has_secrets: bool) {
        form.require("name", presence, &mut self.name, name);
        form.require("preset", presence, &mut self.preset, word(Preset::ALL, Preset::as_str));
        for field in EXPRESSIONS {
            let mut source = self.options.get(field).and_then(Value::as_str).map(str::to_owned);
            form.change(field, &mut source, expression);
            self.set_option(field, source.map(Value::from));
        }
        let mut rule = self.options.get("signature").cloned();
        form.change("signature", &mut rule, |value| read_rule(value).map(Some));
        match (self.preset, &rule) {
            (Preset::Hmac, None) => form.refuse("signature", "is required by the preset hmac"),
            (Preset::Hmac, Some(_)) | (_, None) => {}
            _ => form.refuse("signature", "belongs to the preset hmac; the others know how they sign"),
        }
        self.set_option("signature", rule);
        self.secrets = form.take("secret", secrets);
        match (self.preset.is_signed(), &self.secrets) {
            (true, None) if !has_secrets => form.refuse("secret", "is required by this preset"),
            (false, Some(_)) => form.refuse("secret", "the preset none checks no signature"),
            _ => {}
        }
        self.status = form.take("status", word(Status::ALL, Status::as_str));
    }

    fn set_option(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => drop(self.options.insert(name.to_owned(), value)),
            None => drop(self.options.remove(name)),
        }
    }
}

/// The first part of names of signals.
fn name(value: Value) -> Result<Option<String>, String> {
    let Some(name) = text(NAME_CHARS_MAX)(value)? else { return Ok(None) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.chars().all(allowed) && !name.starts_with("src_") {
        return Ok(Some(name));
    }
    Err("may contain only letters, digits and . _ -, and must not begin with src_".to_owned())
}

/// A jq expression that compiles.
fn expression(value: Value) -> Result<Option<String>, String> {
    let Some(source) = text(EXPRESSION_CHARS_MAX)(value)? else { return Ok(None) };
    Expression::compile(&source, &VARIABLES).map_err(|bad| format!("is no jq expression: {bad}"))?;
    Ok(Some(source))
}

/// One secret, or several of which each will do.
fn secrets(value: Value) -> Result<Option<Vec<String>>, String> {
    let list = match value {
        one @ Value::String(_) => json!([one]),
        other => other,
    };
    let secrets = texts(SECRETS_MAX, SECRET_CHARS_MAX)(list)?;
    if secrets.is_empty() { Err("must not be empty".to_owned()) } else { Ok(Some(secrets)) }
}

/// The rule of a signature, complete.
fn read_rule(value: Value) -> Result<Value, String> {
    let Value::Object(fields) = value else { return Err("must be an object".to_owned()) };
    let mut form = Form::of(fields);
    let (mut header, mut time, mut prefix, mut signed) = (String::new(), None, None, None);
    form.require("header", Presence::New, &mut header, header_name);
    form.change("timestampHeader", &mut time, header_name);
    form.change("prefix", &mut prefix, text(RULE_CHARS_MAX));
    form.change("signed", &mut signed, text(RULE_CHARS_MAX));
    let algorithm = form.take("algorithm", word(["sha256", "sha512"], |word| word)).unwrap_or("sha256");
    let encoding = form.take("encoding", word(["hex", "base64"], |word| word)).unwrap_or("hex");
    let signed =
        signed.unwrap_or_else(|| if time.is_some() { "{timestamp}.{body}" } else { "{body}" }.to_owned());
    check_signed(&mut form, &signed, time.is_some());
    let unknown = form.finish().map_err(|issues| {
        let all = issues.into_iter().map(|issue| format!("`{}` {}", issue.field, issue.issue));
        all.collect::<Vec<_>>().join("; ")
    })?;
    if let Some(name) = unknown.first() {
        return Err(format!("`{name}` is no part of it"));
    }
    Ok(json!({
        "header": header, "timestampHeader": time, "prefix": prefix.unwrap_or_default(), "signed": signed,
        "algorithm": algorithm, "encoding": encoding,
    }))
}

fn check_signed(form: &mut Form, signed: &str, has_time: bool) {
    let names: Vec<&str> =
        signed.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default()).collect();
    if names.iter().any(|name| !matches!(*name, "body" | "timestamp"))
        || signed.matches('{').count() != signed.matches('}').count()
    {
        form.refuse("signed", "may hold {body} and {timestamp}, and no other braces");
    } else if !names.contains(&"body") {
        form.refuse("signed", "must hold {body}");
    } else if names.contains(&"timestamp") != has_time {
        form.refuse("signed", "must hold {timestamp} when there is a timestampHeader, and only then");
    }
}

fn header_name(value: Value) -> Result<Option<String>, String> {
    let Some(name) = text(RULE_CHARS_MAX)(value)? else { return Ok(None) };
    let name = name.to_ascii_lowercase();
    http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name of a header".to_owned())?;
    Ok(Some(name))
}

/// The rule that [`read_rule`] wrote down.
pub(super) fn stored_rule(options: &Map<String, Value>) -> Option<Rule> {
    let rule = options.get("signature")?;
    let text = |name: &str| rule[name].as_str().map(str::to_owned);
    Some(Rule {
        header: text("header")?.into(),
        shape: Shape::Whole { prefix: text("prefix")?.into() },
        time: text("timestampHeader").map(Into::into),
        id: None,
        signed: text("signed")?.into(),
        algorithm: if rule["algorithm"] == "sha512" { Algorithm::Sha512 } else { Algorithm::Sha256 },
        encoding: if rule["encoding"] == "base64" { Encoding::Base64 } else { Encoding::Hex },
        key: Key::Whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: Value) -> String {
        read_rule(fields).expect_err("it is refused")
    }

    #[test]
    fn a_rule_is_written_down_whole() {
        let rule = read_rule(json!({"header": "X-Sign", "timestampHeader": "X-Time"})).unwrap();
        let options = Map::from_iter([("signature".to_owned(), rule)]);
        let rule = stored_rule(&options).unwrap();
        assert_eq!((&*rule.header, rule.time.as_deref()), ("x-sign", Some("x-time")));
        assert_eq!(&*rule.signed, "{timestamp}.{body}");
    }

    #[test]
    fn a_rule_that_signs_too_little_is_refused() {
        assert!(refused(json!({})).contains("header"));
        assert!(refused(json!({"header": "a b"})).contains("name of a header"));
        assert!(refused(json!({"header": "a", "signed": "x"})).contains("{body}"));
        assert!(refused(json!({"header": "a", "signed": "{body}{id}"})).contains("braces"));
        assert!(refused(json!({"header": "a", "signed": "{timestamp}.{body}"})).contains("timestampHeader"));
        assert!(
            refused(json!({"header": "a", "timestampHeader": "b", "signed": "{body}"}))
                .contains("{timestamp}")
        );
        assert!(refused(json!({"header": "a", "tolerance": 5})).contains("no part"));
    }
}
