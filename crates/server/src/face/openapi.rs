//! The OpenAPI document: what all endpoints have in common is written here once and added to each.
//!
//! Invariant: derived from the operations alone, so an endpoint only documents what is its own: parameters,
//! body, success, scope.
//! Not here: the operations; `utoipa` reads them from the handlers.

use super::list::ListMeta;
use super::operation_id::operation_id;
use super::problem::{Code, Problem};
use super::{mapping, stamp};
use crate::api::index::VERSION;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// An answer with one object.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct One<T> {
    /// Always true.
    pub success: bool,
    /// The object.
    pub data: T,
}

/// An answer with a page of objects.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Many<T> {
    /// Always true.
    pub success: bool,
    /// The objects of this page.
    pub data: Vec<T>,
    /// Where this page is in the list.
    pub meta: ListMeta,
}

/// What a DELETE answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Deleted {
    /// Always true.
    pub deleted: bool,
}

/// The parameters every list takes.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, clippy::struct_field_names, reason = "documents the parameters; `list` reads them")]
pub struct Page {
    /// Page number, from 1.
    #[param(default = 1, minimum = 1)]
    page: Option<i64>,
    /// Rows of a page.
    #[param(default = 20, minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// `meta.nextCursor` of the page before: no gaps and no repetitions while rows are added.
    cursor: Option<String>,
    /// Comma-separated members to answer; `id` is always there.
    fields: Option<String>,
}

/// Refusals an operation can give, by the reason it can give them.
const ANY: &[u16] = &[429, 500];
const WITH_CREDENTIAL: &[u16] = &[401, 403, 503];
const WITH_BODY: &[u16] = &[400, 408, 413, 415];
const POSTED: &[u16] = &[409, 422];
const ON_OBJECT: &[u16] = &[404];
const ON_CHANGE: &[u16] = &[412];

/// The whole document.
pub fn finish(operations: &OpenApi) -> Value {
    let mut document = serde_json::to_value(operations).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"] = info();
    document["servers"] = json!([{"url": "/"}]);
    let paths = document["paths"].take();
    document["paths"] = Value::Object(finish_paths(paths));
    let components = object(&mut document, "components");
    components.insert("securitySchemes".into(), security_schemes());
    components.insert("headers".into(), headers());
    components.insert("parameters".into(), parameters());
    components.insert("responses".into(), responses());
    let schemas = components.entry("schemas").or_insert_with(|| json!({}));
    schemas["Failure"] = failure();
    schemas["ProblemDetails"] = problem_details();
    document
}

fn object<'a>(value: &'a mut Value, member: &str) -> &'a mut Map<String, Value> {
    if !value[member].is_object() {
        value[member] = json!({});
    }
    match &mut value[member] {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object just above"),
    }
}

fn finish_paths(paths: Value) -> Map<String, Value> {
    let Value::Object(paths) = paths else { return Map::new() };
    let finished = paths.into_iter().map(|(path, mut item)| {
        if let Some(operations) = item.as_object_mut() {
            for (method, operation) in operations {
                finish_operation(&path, method, operation);
            }
        }
        // The router's "rest of the path" has no spelling in OpenAPI.
        (path.replace("{*", "{"), item)
    });
    finished.collect()
}

fn finish_operation(path: &str, method: &str, operation: &mut Value) {
    operation["operationId"] = operation_id(path, method).into();
    let mut refusals = ANY.to_vec();
    if let Some(scopes) = operation["security"][0]["apiKey"].as_array().cloned() {
        operation["security"] = json!([{"apiKey": scopes}, {"bearer": scopes}]);
        refusals.extend(WITH_CREDENTIAL);
    }
    if operation.get("requestBody").is_some() {
        refusals.extend(WITH_BODY);
    }
    let is_object = path.contains('{');
    if is_object {
        refusals.extend(ON_OBJECT);
    }
    match method {
        "post" => {
            refusals.extend(POSTED);
            add_parameter(operation, "IdempotencyKey");
        }
        "get" if is_object => {
            add_parameter(operation, "IfNoneMatch");
            operation["responses"]["304"] = json!({"description": "Not changed since"});
        }
        "patch" | "put" | "delete" => {
            refusals.extend(ON_CHANGE);
            add_parameter(operation, "IfMatch");
        }
        _ => {}
    }
    stamp_successes(operation, is_object);
    let responses = object(operation, "responses");
    for status in refusals {
        let reference = json!({"$ref": format!("#/components/responses/{}", response_name(status))});
        responses.entry(status.to_string()).or_insert(reference);
    }
}

fn add_parameter(operation: &mut Value, name: &str) {
    let reference = json!({"$ref": format!("#/components/parameters/{name}")});
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(reference),
        None => operation["parameters"] = json!([reference]),
    }
}

fn stamp_successes(operation: &mut Value, is_object: bool) {
    for (status, response) in object(operation, "responses") {
        if !status.starts_with('2') {
            continue;
        }
        let headers = object(response, "headers");
        for name in ["X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"] {
            headers.insert(name.into(), json!({"$ref": format!("#/components/headers/{name}")}));
        }
        if status == "201" {
            headers.insert("Location".into(), json!({"$ref": "#/components/headers/Location"}));
        }
        if is_object && status == "200" {
            headers.insert("ETag".into(), json!({"$ref": "#/components/headers/ETag"}));
        }
    }
}

fn info() -> Value {
    json!({
        "title": "Open Event API",
        "version": VERSION,
        "description": "Signals in, workflows and webhooks out, and the planning of events. Every answer is \
                        `{success, data, meta?}` or `{success, error}`; times are Unix milliseconds, UTC.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    })
}

fn security_schemes() -> Value {
    json!({
        "apiKey": {
            "type": "apiKey", "in": "header", "name": "X-API-Key",
            "description": "An API key, `oe_live_…` or `oe_test_…`. It needs the scopes named at the operation.",
        },
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "The same API key, or the operator's static token, as `Authorization: Bearer …`.",
        },
    })
}

fn headers() -> Value {
    let header = |kind: &str, words: &str| json!({"description": words, "schema": {"type": kind}});
    debug_assert_eq!(stamp::X_RATELIMIT_RESET, "x-ratelimit-reset");
    json!({
        "X-Request-Id": header("string", "Names this request in our log; yours is kept when you send one"),
        "X-RateLimit-Limit": header("integer", "Calls this window admits; absent when there is no limit"),
        "X-RateLimit-Remaining": header("integer", "Calls left in this window"),
        "X-RateLimit-Reset": header("integer", "When the window ends, Unix milliseconds"),
        "Retry-After": header("integer", "Seconds to wait"),
        "Location": header("string", "Where the new object is"),
        "ETag": header("string", "Names this state of the object, for If-None-Match and If-Match"),
    })
}

fn parameters() -> Value {
    let header = |name: &str, words: &str| json!({"name": name, "in": "header", "required": false, "description": words, "schema": {"type": "string"}});
    let once = "Sent again with the same key, the request has no second effect and gets the first answer, for 72 hours";
    json!({
        "IdempotencyKey": header("Idempotency-Key", once),
        "IfNoneMatch": header("If-None-Match", "An ETag: answers 304 if this is still the state"),
        "IfMatch": header("If-Match", "An ETag: refuses with 412 unless this is still the state"),
    })
}

fn response_name(status: u16) -> String {
    mapping::of_status(StatusCode::from_u16(status).unwrap_or_default()).code().title().replace(' ', "")
}

fn responses() -> Value {
    let all = [ANY, WITH_CREDENTIAL, WITH_BODY, POSTED, ON_OBJECT, ON_CHANGE];
    let named = all.into_iter().flatten().map(|status| (response_name(*status), response(*status)));
    Value::Object(named.collect())
}

fn response(status: u16) -> Value {
    let problem = example(status);
    let mut example: Value = serde_json::from_slice(&problem.envelope()).unwrap_or_default();
    if let Some(error) = example["error"].as_object_mut() {
        error.retain(|_, member| !member.is_null());
    }
    let mut headers = json!({
        "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
        "X-RateLimit-Limit": {"$ref": "#/components/headers/X-RateLimit-Limit"},
        "X-RateLimit-Remaining": {"$ref": "#/components/headers/X-RateLimit-Remaining"},
        "X-RateLimit-Reset": {"$ref": "#/components/headers/X-RateLimit-Reset"},
    });
    if matches!(status, 429 | 503) {
        headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
    }
    json!({
        "description": problem.code().title(),
        "headers": headers,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Failure"}, "example": example},
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}},
        },
    })
}

fn example(status: u16) -> Problem {
    match status {
        400 => Problem::field("name", "field is required"),
        403 => Problem::forbidden("events:write"),
        429 => Problem::rate_limited(1832),
        other => mapping::of_status(StatusCode::from_u16(other).unwrap_or_default()),
    }
}

fn failure() -> Value {
    let issue = json!({
        "type": "object", "required": ["field", "issue"],
        "properties": {"field": {"type": "string"}, "issue": {"type": "string"}},
    });
    json!({
        "type": "object",
        "required": ["success", "error"],
        "x-codes": titles(),
        "properties": {
            "success": {"const": false},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string", "description": "Never changes its meaning", "enum": codes()},
                    "message": {"type": "string", "description": "For people"},
                    "details": {
                        "description": "What is wrong with which field; an object where signals are sent",
                        "oneOf": [{"type": "array", "items": issue}, {"type": "object"}],
                    },
                },
            },
        },
    })
}

fn codes() -> Vec<&'static str> {
    Code::ALL.into_iter().map(Code::word).collect()
}

fn titles() -> Value {
    let title = |code: Code| json!({"status": code.status().as_u16(), "title": code.title()});
    Value::Object(Code::ALL.into_iter().map(|code| (code.word().to_owned(), title(code))).collect())
}

fn problem_details() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457, sent to those who accept application/problem+json",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "success": {"const": false},
            "error": {"$ref": "#/components/schemas/Failure/properties/error"},
        },
    })
}
