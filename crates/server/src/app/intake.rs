//! Reading what `POST /api/v1/events` was sent: a signal in our own form, or CloudEvents in three modes.
//!
//! Invariant: the words of the refusals are those of the Events API; nothing is looked up here.
//! Not here: storing (see `signals`), planned events (a body with `title`).

use crate::face::body::{self, Sent};
use crate::face::problem::{FieldIssue, Problem};
use http::HeaderMap;
use openevent_domain::api_key::hex;
use openevent_domain::signal::{Attributes, BATCH_MAX, SignalName};
use openevent_domain::tenant::Tenant;
use openevent_engine::Draft;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// CloudEvents, one in JSON.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";
/// CloudEvents, an array in JSON.
pub const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";
const BINARY_PREFIX: &str = "ce-";
const REQUIRED: &str = "field is required";

/// One message that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What it says.
    pub draft: Draft,
    /// Who sent it under which id, if it came as a CloudEvent.
    pub origin: Option<Origin>,
}

/// A sender and what it calls a message, as a CloudEvent's `source` and `id`: together they make it unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who sent it.
    pub source: String,
    /// What it is called there.
    pub id: String,
}

impl Origin {
    /// The key under which its first reception is remembered.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update((self.source.len() as u64).to_be_bytes());
        hash.update(&self.source);
        hash.update(&self.id);
        format!("cloudevent:{}", hex(&hash.finalize()))
    }
}

/// What a request to the one path with two meanings is.
#[derive(Debug)]
pub enum Meaning {
    /// One signal.
    Signal(Box<Arrival>),
    /// Several CloudEvents.
    Batch(Vec<Result<Arrival, Vec<FieldIssue>>>),
    /// A planned event.
    Event(Map<String, Value>),
}

/// Which half of the path is meant when the body does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// An API key means an event.
    Event,
    /// The static token means a signal.
    Signal,
}

/// Reads a request to `POST /api/v1/events`.
pub fn read(sent: &Sent, tenant: &Tenant, doubt: Doubt) -> Result<Meaning, Problem> {
    match sent.kind.as_str() {
        CLOUD_EVENT => {
            let value = body::json(&sent.bytes).map_err(|problem| as_signal(&problem))?;
            cloud_event(value, tenant)
                .map(|arrival| Meaning::Signal(Box::new(arrival)))
                .map_err(Problem::signal)
        }
        CLOUD_EVENTS => {
            let value = body::json(&sent.bytes).map_err(|problem| as_signal(&problem))?;
            let Value::Array(events) = value else {
                return Err(Problem::signal(vec![FieldIssue::new(
                    "body",
                    "must be an array of CloudEvents",
                )]));
            };
            check_count(events.len(), "body")?;
            Ok(Meaning::Batch(events.into_iter().map(|event| cloud_event(event, tenant)).collect()))
        }
        _ if sent.headers.contains_key("ce-specversion") => {
            binary(sent, tenant).map(|arrival| Meaning::Signal(Box::new(arrival)))
        }
        _ => plain(sent, tenant, doubt),
    }
}

/// Reads a request to `POST /api/v1/events/batch`.
pub fn read_batch(sent: &Sent, tenant: &Tenant) -> Result<Vec<Result<Arrival, Vec<FieldIssue>>>, Problem> {
    if sent.kind == CLOUD_EVENTS {
        return match read(sent, tenant, Doubt::Signal)? {
            Meaning::Batch(items) => Ok(items),
            Meaning::Signal(one) => Ok(vec![Ok(*one)]),
            Meaning::Event(_) => Ok(Vec::new()),
        };
    }
    let value = body::json(&sent.bytes).map_err(|problem| as_signal(&problem))?;
    let Value::Object(mut fields) = value else {
        return Err(Problem::signal(vec![FieldIssue::new("body", "must be a JSON object")]));
    };
    let events = match fields.remove("events") {
        Some(Value::Array(events)) => events,
        None | Some(Value::Null) => return Err(Problem::signal(vec![FieldIssue::new("events", REQUIRED)])),
        Some(_) => return Err(Problem::signal(vec![FieldIssue::new("events", "must be an array")])),
    };
    check_count(events.len(), "events")?;
    let one = |event| match event {
        Value::Object(fields) => signal(fields, tenant),
        _ => Err(vec![FieldIssue::new("body", "must be a JSON object")]),
    };
    Ok(events.into_iter().map(one).collect())
}

/// Reads any bytes in every form ingest takes, and lets go of what comes out: the entry point of fuzzing and of
/// the tests with arbitrary bytes. Nothing panics, and whatever is admitted has a valid name.
pub fn read_any(bytes: &[u8]) {
    let tenant = Tenant::trusted("fuzz.live".to_owned());
    let mut headers = HeaderMap::new();
    for kind in ["application/json", CLOUD_EVENT, CLOUD_EVENTS] {
        let sent = Sent { bytes: bytes.to_vec().into(), kind: kind.to_owned(), headers: headers.clone() };
        drop((
            read(&sent, &tenant, Doubt::Event),
            read(&sent, &tenant, Doubt::Signal),
            read_batch(&sent, &tenant),
        ));
    }
    let text = String::from_utf8_lossy(bytes);
    for (name, value) in
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", &*text), ("ce-type", &*text)]
    {
        if let Ok(value) = http::HeaderValue::from_str(value) {
            headers.insert(http::HeaderName::from_static(name), value);
        }
    }
    drop(read(
        &Sent { bytes: bytes.to_vec().into(), kind: "application/json".to_owned(), headers },
        &tenant,
        Doubt::Signal,
    ));
}

fn check_count(count: usize, field: &str) -> Result<(), Problem> {
    match count {
        0 => Err(Problem::signal(vec![FieldIssue::new(field, "must not be empty")])),
        _ if count > BATCH_MAX => {
            Err(Problem::signal(vec![FieldIssue::new(field, format!("must have at most {BATCH_MAX} items"))]))
        }
        _ => Ok(()),
    }
}

/// A refusal of the body as a whole, in the words of signal ingest.
fn as_signal(problem: &Problem) -> Problem {
    Problem::signal(vec![FieldIssue::new("body", problem.message().to_owned())])
}

fn plain(sent: &Sent, tenant: &Tenant, doubt: Doubt) -> Result<Meaning, Problem> {
    let value = match (body::json(&sent.bytes), doubt) {
        (Ok(value), _) => value,
        (Err(problem), Doubt::Event) => return Err(problem),
        (Err(problem), Doubt::Signal) => return Err(as_signal(&problem)),
    };
    let Value::Object(fields) = value else {
        let issue = vec![FieldIssue::new("body", "must be a JSON object")];
        return Err(if doubt == Doubt::Signal { Problem::signal(issue) } else { Problem::fields(issue) });
    };
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    match (has("name"), has("title"), doubt) {
        (true, false, _) | (false, false, Doubt::Signal) => {
            signal(fields, tenant).map(|arrival| Meaning::Signal(Box::new(arrival))).map_err(Problem::signal)
        }
        (false, _, _) => Ok(Meaning::Event(fields)),
        (true, true, Doubt::Signal) => Err(Problem::signal(vec![both()])),
        (true, true, Doubt::Event) => Err(Problem::fields(vec![both()])),
    }
}

fn both() -> FieldIssue {
    FieldIssue::new("name", "send either `name` (a signal) or `title` (an event), not both")
}

fn signal(mut fields: Map<String, Value>, tenant: &Tenant) -> Result<Arrival, Vec<FieldIssue>> {
    let mut issues = Vec::new();
    let name = name(fields.remove("name"), "name", &mut issues);
    let payload = match fields.remove("payload") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(payload)) => payload,
        Some(_) => {
            issues.push(FieldIssue::new("payload", "must be an object"));
            Map::new()
        }
    };
    arrival(name, payload, Attributes::default(), None, tenant, issues)
}

fn cloud_event(value: Value, tenant: &Tenant) -> Result<Arrival, Vec<FieldIssue>> {
    let Value::Object(mut fields) = value else {
        return Err(vec![FieldIssue::new("body", "must be a CloudEvent object")]);
    };
    let mut issues = Vec::new();
    let data = fields.remove("data");
    if fields.contains_key("data_base64") {
        issues.push(FieldIssue::new("data_base64", "binary data is not taken; send a JSON object as data"));
    }
    let payload = match data {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(payload)) => payload,
        Some(_) => {
            issues.push(FieldIssue::new("data", "must be an object"));
            Map::new()
        }
    };
    finish_cloud_event(fields, payload, tenant, issues)
}

/// Attributes as `ce-` headers, the payload as the body.
fn binary(sent: &Sent, tenant: &Tenant) -> Result<Arrival, Problem> {
    let attributes = header_attributes(&sent.headers);
    let payload = if sent.bytes.is_empty() {
        Value::Null
    } else {
        body::json(&sent.bytes).map_err(|problem| as_signal(&problem))?
    };
    let mut issues = Vec::new();
    let payload = match payload {
        Value::Null => Map::new(),
        Value::Object(payload) => payload,
        _ => {
            issues.push(FieldIssue::new("data", "must be an object"));
            Map::new()
        }
    };
    finish_cloud_event(attributes, payload, tenant, issues).map_err(Problem::signal)
}

fn header_attributes(headers: &HeaderMap) -> Map<String, Value> {
    let named = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(BINARY_PREFIX)?;
        Some((name.to_owned(), Value::String(percent_decoded(value.to_str().ok()?))))
    });
    named.collect()
}

/// The HTTP binding writes what headers cannot carry as percent-encoded UTF-8.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = text
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn finish_cloud_event(
    mut fields: Map<String, Value>,
    payload: Map<String, Value>,
    tenant: &Tenant,
    mut issues: Vec<FieldIssue>,
) -> Result<Arrival, Vec<FieldIssue>> {
    match fields.remove("specversion").as_ref().and_then(Value::as_str) {
        Some("1.0") => {}
        Some(_) => issues.push(FieldIssue::new("specversion", "must be 1.0")),
        None => issues.push(FieldIssue::new("specversion", REQUIRED)),
    }
    let name = name(fields.remove("type"), "type", &mut issues);
    let mut text = |field: &str| match fields.get(field) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Null) | None => {
            issues.push(FieldIssue::new(field, REQUIRED));
            String::new()
        }
        Some(_) => {
            issues.push(FieldIssue::new(field, "must be a non-empty string"));
            String::new()
        }
    };
    let origin = Origin { source: text("source"), id: text("id") };
    fields.remove("datacontenttype");
    arrival(name, payload, Attributes(fields), Some(origin), tenant, issues)
}

fn name(value: Option<Value>, field: &str, issues: &mut Vec<FieldIssue>) -> Option<SignalName> {
    let issue = match value {
        None | Some(Value::Null) => REQUIRED.to_owned(),
        Some(Value::String(text)) => match SignalName::parse(&text) {
            Ok(name) => return Some(name),
            Err(bad) => bad.to_string(),
        },
        Some(_) => "must be a string".to_owned(),
    };
    issues.push(FieldIssue::new(field, issue));
    None
}

fn arrival(
    name: Option<SignalName>,
    payload: Map<String, Value>,
    attributes: Attributes,
    origin: Option<Origin>,
    tenant: &Tenant,
    issues: Vec<FieldIssue>,
) -> Result<Arrival, Vec<FieldIssue>> {
    match name {
        Some(name) if issues.is_empty() => {
            let draft = Draft { tenant: tenant.clone(), name, payload, attributes, replay_of: None };
            Ok(Arrival { draft, origin })
        }
        _ => Err(issues),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: &str, bytes: &str) -> Sent {
        Sent { bytes: bytes.to_owned().into(), kind: kind.to_owned(), headers: HeaderMap::new() }
    }

    fn meaning(text: &str, doubt: Doubt) -> Result<Meaning, Problem> {
        read(&sent("application/json", text), &Tenant::trusted("t.live".into()), doubt)
    }

    #[test]
    fn name_means_a_signal_and_title_an_event() {
        assert!(matches!(meaning(r#"{"name":"a.b"}"#, Doubt::Event), Ok(Meaning::Signal(_))));
        assert!(matches!(meaning(r#"{"title":"T"}"#, Doubt::Signal), Ok(Meaning::Event(_))));
        assert!(matches!(meaning("{}", Doubt::Event), Ok(Meaning::Event(_))));
        let words = |result: Result<Meaning, Problem>| result.unwrap_err().code().word();
        assert_eq!(words(meaning("{}", Doubt::Signal)), "validation_error");
        assert_eq!(words(meaning(r#"{"name":"a","title":"b"}"#, Doubt::Signal)), "validation_error");
        assert_eq!(words(meaning(r#"{"name":"a","title":"b"}"#, Doubt::Event)), "VALIDATION_ERROR");
        assert_eq!(words(meaning("{", Doubt::Event)), "BAD_REQUEST");
        assert_eq!(words(meaning("{", Doubt::Signal)), "validation_error");
    }

    #[test]
    fn a_cloud_event_needs_its_four_attributes() {
        let tenant = Tenant::trusted("t.live".into());
        let issues = cloud_event(serde_json::json!({"data": [1]}), &tenant).unwrap_err();
        let fields: Vec<_> = issues.iter().map(|issue| issue.field.as_str()).collect();
        assert_eq!(fields, ["data", "specversion", "type", "source", "id"]);
        let good = serde_json::json!({"specversion":"1.0","type":"a.b","source":"/s","id":"1","data":{"x":1},"subject":"z"});
        let arrival = cloud_event(good, &tenant).unwrap();
        assert_eq!(arrival.draft.attributes.0.get("subject"), Some(&"z".into()));
        assert!(arrival.origin.is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            read_any(&bytes);
        }

        #[test]
        fn what_almost_is_a_signal_is_read_without_a_panic(text in r#"\{"(name|title|events|payload|specversion|type|data)":("\PC{0,9}"|\[\{?|\{|null|1e9|true)[\]}]{0,3}\}?"#) {
            read_any(text.as_bytes());
        }
    }

    #[test]
    fn header_values_are_percent_decoded() {
        assert_eq!(percent_decoded("a%20b%C3%BC%zz%"), "a bü%zz%");
    }
}
