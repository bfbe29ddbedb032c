//! What the specification's JSON Schema refuses is refused here too, or the difference is listed with its reason.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use openevent_flow::Definition;
use proptest::prelude::*;
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    SCHEMA.get_or_init(compiled)
}

fn compiled() -> jsonschema::Validator {
    let text = std::fs::read_to_string(folder("schema/workflow.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&text).expect("json");
    jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&schema).expect("a schema")
}

/// The official examples, and one with what they leave out.
fn examples() -> &'static [Value] {
    static EXAMPLES: OnceLock<Vec<Value>> = OnceLock::new();
    EXAMPLES.get_or_init(parsed)
}

fn parsed() -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder("examples"))
        .expect("examples")
        .map(|entry| entry.expect("entry").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let sources = files.iter().map(|path| std::fs::read_to_string(path).expect("an example"));
    sources
        .chain([EVERYTHING.to_owned()])
        .map(|source| match Definition::parse(&source) {
            Ok(parsed) => parsed.definition.document().clone(),
            Err(issues) => panic!("{issues:?}\n{source}"),
        })
        .collect()
}

const EVERYTHING: &str = r"
document: { dsl: '1.0.3', namespace: test, name: everything, version: '0.1.0', title: t, summary: s, tags: { a: b }, metadata: { c: 1 } }
evaluate: { language: jq, mode: strict }
input: { schema: { format: json, document: { type: object } }, from: . }
output: { as: { a: '${ . }' } }
timeout: { after: PT1H }
schedule: { every: { hours: 1 }, cron: '0 0 * * *', after: PT1M, on: { any: [ { with: { type: a } } ], until: length > 1 } }
use:
  secrets: [ s ]
  catalogs: { c: { endpoint: { uri: 'https://c.example', authentication: { use: basic } } } }
  timeouts: { t: { after: { seconds: 1 } } }
  errors: { e: { type: 'https://x/e', status: 400, title: t, detail: d, instance: /do/0 } }
  retries: { r: { when: .x, exceptWhen: .y, delay: PT1S, backoff: { linear: {} }, limit: { attempt: { count: 1, duration: PT1S }, duration: PT1M }, jitter: { from: PT0S, to: PT1S } } }
  authentications:
    basic: { basic: { username: a, password: b } }
    digest: { digest: { use: s } }
    oauth2: { oauth2: { authority: 'https://x', endpoints: { token: /t, revocation: /r, introspection: /i }, grant: password, client: { id: a, secret: b, assertion: c, authentication: none }, request: { encoding: application/json }, issuers: [ a ], scopes: [ b ], audiences: [ c ], username: u, password: p, subject: { token: t, type: u }, actor: { token: t, type: u } } }
    oidc: { oidc: { authority: 'https://x', grant: client_credentials, client: { id: a } } }
  extensions: [ { x: { extend: wait, when: .x, before: [ a: { set: { a: 1 } } ], after: [ b: { wait: PT1S } ] } } ]
  functions: { f: { set: { a: 1 } } }
do:
  - call: { if: .x, call: f, with: { a: 1 }, timeout: t, then: api, metadata: { a: 1 }, export: { schema: { document: {} }, as: .x } }
  - api: { call: openapi, with: { document: { name: d, endpoint: 'https://x/d' }, operationId: o, parameters: { a: 1 }, authentication: { use: oauth2 }, output: raw, redirect: false } }
  - http: { call: http, with: { method: get, endpoint: { uri: 'https://x/{a}' }, headers: { a: b }, query: { a: b }, body: { a: 1 }, output: response, redirect: true } }
  - grpc: { call: grpc, with: { proto: { endpoint: 'https://x' }, service: { name: a, host: b, port: 1, authentication: { bearer: { token: t } } }, method: m, arguments: { a: 1 } } }
  - agent: { call: a2a, with: { agentCard: { endpoint: 'https://x' }, server: 'https://x', method: tasks/get, parameters: { a: 1 } } }
  - mcp: { call: mcp, with: { protocolVersion: '1', method: tools/list, parameters: {}, timeout: PT1S, transport: { http: { endpoint: 'https://x', headers: { a: b } }, options: { a: b } }, client: { name: a, version: b } } }
  - async: { call: asyncapi, with: { document: { endpoint: 'https://x' }, operation: o, server: { name: a, variables: { a: 1 } }, protocol: http, message: { payload: { a: 1 }, headers: { b: 2 } }, authentication: { use: digest } } }
  - tried: { try: [ a: { raise: { error: e } } ], catch: { errors: { with: { type: 'https://x/e', status: 400 } }, as: err, when: .x, exceptWhen: .y, retry: r, do: [ b: { wait: { milliseconds: 1 } } ] } }
  - each: { for: { each: i, in: .x, at: n }, while: .y, do: [ a: { set: { b: 1 } } ] }
  - heard: { listen: { to: { any: [ { with: { type: a, source: 'https://x' }, correlate: { c: { from: .x, expect: '1' } } } ], until: .x }, read: envelope }, foreach: { item: i, at: n, do: [ a: { emit: { event: { with: { source: 'https://x', type: t } } } } ], output: { as: .x }, export: { as: .y } } }
  - forked: { fork: { compete: true, branches: [ a: { do: [ b: { switch: [ c: { when: .x, then: exit } ] } ] } ] } }
  - shell: { run: { shell: { command: c, stdin: s, arguments: [ a ], environment: { a: b } }, await: true, return: all } }
  - script: { run: { script: { language: js, source: { endpoint: 'https://x' }, stdin: s, arguments: [ a ], environment: { a: b } } } }
  - child: { run: { workflow: { namespace: a, name: b, version: '1.0.0', input: { a: 1 } } } }
  - box: { run: { container: { image: i, name: n, command: c, ports: { a: 1 }, volumes: { a: b }, environment: { a: b }, stdin: s, arguments: [ a ], lifetime: { cleanup: eventually, after: PT1S }, pullPolicy: always } } }
";

/// One change to one place of a definition.
#[derive(Clone, Debug)]
enum Change {
    Remove,
    Replace(Value),
    Rename,
    Add,
    Repeat,
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Remove),
        Just(Change::Rename),
        Just(Change::Add),
        Just(Change::Repeat),
        prop_oneof![
            Just(Value::Null),
            Just(json!(true)),
            Just(json!(-1)),
            Just(json!(1.5)),
            Just(json!("")),
            Just(json!("text")),
            Just(json!([])),
            Just(json!({})),
            Just(json!([1])),
            Just(json!({"a": {}})),
        ]
        .prop_map(Change::Replace),
    ]
}

/// Paths of all values inside.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    let mut inner = |name: &str, value: &Value| {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(path.clone());
        paths(value, &path, found);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| inner(name, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| inner(&index.to_string(), value));
        }
        _ => {}
    }
}

fn changed(definition: &Value, path: &str, change: &Change) -> Option<Value> {
    let mut changed = definition.clone();
    let (parent, last) = path.rsplit_once('/')?;
    let name = last.replace("~1", "/").replace("~0", "~");
    match (change, changed.pointer_mut(parent)?) {
        (Change::Replace(value), parent) => match parent {
            Value::Object(members) => *members.get_mut(&name)? = value.clone(),
            Value::Array(items) => *items.get_mut(name.parse::<usize>().ok()?)? = value.clone(),
            _ => return None,
        },
        (Change::Remove, Value::Object(members)) => drop(members.remove(&name)),
        (Change::Remove, Value::Array(items)) => drop(items.remove(name.parse().ok()?)),
        (Change::Rename, Value::Object(members)) => {
            let value = members.remove(&name)?;
            members.insert(format!("{name}x"), value);
        }
        (Change::Add, Value::Object(members)) => drop(members.insert("unknown".to_owned(), json!(1))),
        (Change::Repeat, Value::Array(items)) => {
            let again = items.get(name.parse::<usize>().ok()?)?.clone();
            items.push(again);
        }
        _ => return None,
    }
    Some(changed)
}

/// Differences with a reason, listed in the README.
fn is_argued(path: &str, change: &Change) -> bool {
    let (value, added) = match change {
        Change::Replace(value) => (value, false),
        Change::Add => (&json!(1), true),
        _ => return false,
    };
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        // numbers and booleans are written out, null leaves out, a list repeats the parameter
        [.., "with", "headers", _] => !value.is_object() && !value.is_array(),
        [.., "with", "query", _] => !value.is_object(),
        _ if added => false,
        // events carry numbers as well as text
        [.., "correlate", _, "expect"] => value.is_number() || value.is_boolean(),
        // a filter compares, also by regular expression
        [.., "with", "source" | "time" | "dataschema"] => value.is_string(),
        // the reference says `any`
        [.., "run", "workflow", "input"] => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_the_schema_refuses_is_refused(
        example in any::<proptest::sample::Index>(),
        place in any::<proptest::sample::Index>(),
        change in changes(),
    ) {
        let examples = examples();
        let example = &examples[example.index(examples.len())];
        let mut places = Vec::new();
        paths(example, "", &mut places);
        let path = &places[place.index(places.len())];
        let Some(changed) = changed(example, path, &change) else { return Ok(()) };

        let is_refused = Definition::parse(&changed.to_string()).is_err();

        prop_assert!(
            is_refused || schema().is_valid(&changed) || is_argued(path, &change),
            "{change:?} at {path} is accepted: {changed}"
        );
    }
}

#[test]
fn the_schema_and_we_accept_every_example() {
    let refused = examples().iter().find(|example| !schema().is_valid(example));

    assert_eq!(refused, None);
}
