//! What the server's own signals say: a JSON Schema (2020-12) and an example of each payload.
//!
//! Invariant: every name of [`BUILT_IN`](crate::signal::BUILT_IN) has one of each; a payload has no member its schema
//! does not name. They describe what we send: a signal from outside under such a name is not held to them.
//! Not here: raising them; the schemas people put into the catalogue.

use serde_json::{Map, Value, json};

/// What a payload looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// JSON Schema of the payload.
    pub schema: Value,
    /// A payload to copy.
    pub example: Value,
}

/// What is told under a name; `None` when we do not send it.
pub fn told(name: &str) -> Option<Told> {
    let (family, verb) = name.split_once('.')?;
    let members = match (family, verb) {
        ("event", "created" | "deleted") => event(),
        ("event", "updated") => [event(), event_changes()].concat(),
        ("event", "status_changed") => [event(), previous_event_status()].concat(),
        ("task", "created" | "completed") => task(),
        ("vendor" | "sponsor", "applied") => application(family),
        ("vendor" | "sponsor", "confirmed" | "declined") => relation(family, verb),
        _ => return None,
    };
    Some(of(members))
}

/// One member: its name, whether it is always there, its schema, an example.
type Member = (String, bool, Value, Value);

fn always(name: &str, schema: Value, example: impl Into<Value>) -> Member {
    (name.to_owned(), true, schema, example.into())
}

fn maybe(name: &str, schema: Value, example: impl Into<Value>) -> Member {
    (name.to_owned(), false, schema, example.into())
}

fn of(members: Vec<Member>) -> Told {
    let required: Vec<_> =
        members.iter().filter(|(_, is_always, ..)| *is_always).map(|(name, ..)| name.clone()).collect();
    let example: Map<_, _> =
        members.iter().map(|(name, _, _, example)| (name.clone(), example.clone())).collect();
    let properties: Map<_, _> = members.into_iter().map(|(name, _, schema, _)| (name, schema)).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "required": required, "properties": properties,
    });
    Told { schema, example: Value::Object(example) }
}

fn text() -> Value {
    json!({"type": "string"})
}

fn id(prefix: &str) -> Value {
    json!({"type": "string", "pattern": format!("^{prefix}_[0-9a-f]{{32}}$")})
}

fn id_like(prefix: &str) -> String {
    format!("{prefix}_019ac0de00007000800000000000c0de")
}

fn millis() -> Value {
    json!({"type": "integer", "description": "Unix milliseconds"})
}

fn money() -> Value {
    json!({"type": "number", "minimum": 0})
}

fn one_of(words: &[&str]) -> Value {
    json!({"enum": words})
}

fn event_status() -> Value {
    one_of(&["draft", "planning", "active", "completed", "cancelled"])
}

/// Which event it is about.
fn about() -> Vec<Member> {
    vec![always("eventId", id("evt"), id_like("evt")), always("eventTitle", text(), "Tech Conference 2025")]
}

fn event() -> Vec<Member> {
    vec![
        always("eventId", id("evt"), id_like("evt")),
        always("title", text(), "Tech Conference 2025"),
        always("status", event_status(), "planning"),
        always("startDate", millis(), 1_735_689_600_000_i64),
        maybe("endDate", millis(), 1_735_776_000_000_i64),
        maybe("timezone", text(), "America/New_York"),
        maybe("eventType", text(), "conference"),
        always("isPublic", json!({"type": "boolean"}), true),
    ]
}

fn event_changes() -> Vec<Member> {
    let names = json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true});
    let changes =
        json!({"type": "object", "description": "What the changed fields are now; null where cleared"});
    vec![
        always("changedFields", names, json!(["budget", "status"])),
        always("changes", changes, json!({"budget": 75_000, "status": "planning"})),
    ]
}

fn previous_event_status() -> Vec<Member> {
    vec![always("previousStatus", event_status(), "draft")]
}

fn task() -> Vec<Member> {
    vec![
        always("eventId", id("evt"), id_like("evt")),
        always("taskId", id("tsk"), id_like("tsk")),
        always("title", text(), "Book the hall"),
        always("status", one_of(&["todo", "in_progress", "blocked", "completed"]), "completed"),
        always("priority", one_of(&["low", "medium", "high", "urgent"]), "high"),
        maybe("category", text(), "venue"),
        maybe("assignee", text(), "Ada"),
        maybe("dueDate", millis(), 1_735_000_000_000_i64),
    ]
}

/// Who it is about.
fn party(side: &str) -> Vec<Member> {
    let name = if side == "vendor" { "Cakes and Co" } else { "First Bank" };
    vec![
        always(&format!("{side}Id"), id("dir"), id_like("dir")),
        always(&format!("{side}Name"), text(), name),
    ]
}

/// An application: to an event, or, without one, to the directory.
fn application(side: &str) -> Vec<Member> {
    let is_vendor = side == "vendor";
    let (group, word) = if is_vendor { ("category", "catering") } else { ("industry", "finance") };
    let event = about().into_iter().map(|(name, _, schema, example)| (name, false, schema, example));
    let mut members: Vec<_> = event.chain(party(side)).collect();
    members.extend([
        maybe("applicationId", id("app"), id_like("app")),
        always("status", json!({"const": "pending"}), "pending"),
        always(group, text(), word),
        maybe("message", text(), "We would love to come."),
        maybe("proposedBudget", money(), 1_200.5),
        maybe("proposedTier", text(), "gold"),
        maybe("contactName", text(), "Ada"),
        maybe("contactEmail", text(), "ada@example.com"),
        maybe("verified", json!({"type": "boolean"}), false),
    ]);
    members
}

fn relation(side: &str, status: &str) -> Vec<Member> {
    let is_vendor = side == "vendor";
    let before = one_of(&["inquiry", "negotiating", "confirmed", "declined"]);
    let detail = if is_vendor { ("category", "catering") } else { ("tier", "gold") };
    let mut members = [about(), party(side)].concat();
    members.extend([
        always("relationId", id("rel"), id_like("rel")),
        always("status", json!({"const": status}), status),
        maybe("previousStatus", before, "negotiating"),
        maybe("amount", money(), 1_200.5),
        maybe("currency", json!({"type": "string", "pattern": "^[A-Z]{3}$"}), "USD"),
        maybe(detail.0, text(), detail.1),
        maybe("applicationId", id("app"), id_like("app")),
    ]);
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::BUILT_IN;

    #[test]
    fn every_built_in_name_says_what_it_tells() {
        for (name, _) in BUILT_IN {
            let told = told(name).expect(name);
            let required = told.schema["required"].as_array().expect("a list").clone();
            assert!(
                required.iter().all(|member| told.example.get(member.as_str().unwrap()).is_some()),
                "{name}"
            );
        }
        assert_eq!(told("order.created"), None);
        assert_eq!(told("event"), None);
    }
}
