//! An operation's parameters on the wire: path, query, headers, cookies and body.
//!
//! Invariant: what is put into an address is percent-encoded; a parameter that has to be there and is not is named,
//! and so is one the operation does not know.
//! Not here: finding the operation (`operation`); whether values fit their schemas, which the service tells.

use super::operation::{Family, Operation, configuration, resolve};
use openevent_flow::{Fault, FaultKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::form_urlencoded;

/// RFC 3986's unreserved characters stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What the whole body is called where no parameter has this name.
const BODY: &str = "body";
const FORM: &str = "application/x-www-form-urlencoded";

/// A request without its server.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Built {
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    /// Media type and bytes.
    pub(super) body: Option<(String, String)>,
}

/// How a value is written.
#[derive(Clone, Copy)]
struct Style<'a> {
    name: &'a str,
    explode: bool,
}

/// Puts the values given into the places the operation names.
pub(super) fn build(operation: &Operation<'_>, mut given: Map<String, Value>) -> Result<Built, Fault> {
    given.retain(|_, value| !value.is_null());
    let mut built = Built { target: operation.path.to_owned(), ..Built::default() };
    let (mut query, mut cookies, mut form) = (Vec::new(), Vec::new(), Vec::new());
    let mut used = Vec::new();
    let mut whole = None;
    for parameter in operation.parameters() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let place = parameter["in"].as_str().unwrap_or_default();
        let value = match given.get(name) {
            Some(value) => value,
            None if place == BODY && given.contains_key(BODY) => &given[BODY],
            None if parameter["required"] == true || place == "path" => {
                return Err(required(name, operation));
            }
            None => continue,
        };
        used.push(if given.contains_key(name) { name } else { BODY });
        let style = style(parameter, place);
        match place {
            "path" => {
                let hole = format!("{{{name}}}");
                built.target = built.target.replace(&hole, &in_path(name, value, style));
            }
            "query" => in_query(name, value, style, parameter, &mut query),
            "header" => built.headers.push((name.to_owned(), plain(value, style.explode))),
            "cookie" => cookies.push(format!("{name}={}", encode(&plain(value, false)))),
            "formData" if parameter["type"] == "file" => {
                return Err(configuration(&format!(
                    "the parameter `{name}` is a file, which is not offered"
                )));
            }
            "formData" => form.push((name.to_owned(), plain(value, false))),
            BODY => whole = Some(value.clone()),
            _ => {}
        }
    }
    let left: Vec<&String> = given.keys().filter(|name| !used.contains(&name.as_str())).collect();
    built.body = match operation.family {
        Family::Swagger if !form.is_empty() => Some((FORM.to_owned(), pairs(&form))),
        Family::Swagger => whole.map(|value| swagger_body(operation, &value)),
        Family::OpenApi => body(operation, &given, &left)?,
    };
    let took_all = operation.family == Family::OpenApi && built.body.is_some();
    if !took_all && !left.is_empty() {
        let names: Vec<String> = left.iter().map(|name| format!("`{name}`")).collect();
        return Err(configuration(&format!("the operation has no parameter {}", names.join(", "))));
    }
    if !query.is_empty() {
        built.target = format!("{}?{}", built.target, query.join("&"));
    }
    if !cookies.is_empty() {
        built.headers.push(("cookie".to_owned(), cookies.join("; ")));
    }
    Ok(built)
}

fn required(name: &str, operation: &Operation<'_>) -> Fault {
    let id = operation.content["operationId"].as_str().unwrap_or_default();
    Fault::new(FaultKind::Validation, format!("the operation `{id}` needs the parameter `{name}`"))
}

/// How a parameter is written: OpenAPI's `style` and `explode`, or Swagger's `collectionFormat`.
fn style<'a>(parameter: &'a Value, place: &str) -> Style<'a> {
    let usual = if matches!(place, "query" | "cookie") { "form" } else { "simple" };
    match parameter["collectionFormat"].as_str() {
        Some("multi") => Style { name: "form", explode: true },
        Some("ssv") => Style { name: "spaceDelimited", explode: false },
        Some("pipes") => Style { name: "pipeDelimited", explode: false },
        Some("tsv") => Style { name: "tabDelimited", explode: false },
        Some(_) => Style { name: usual, explode: false },
        // Swagger's parameters have their type beside their name.
        None if parameter["type"].is_string() => Style { name: usual, explode: false },
        None => {
            let name = parameter["style"].as_str().unwrap_or(usual);
            let explode = parameter["explode"].as_bool().unwrap_or(name == "form");
            Style { name, explode }
        }
    }
}

fn in_path(name: &str, value: &Value, style: Style<'_>) -> String {
    let (begin, between) = match style.name {
        "label" => (".".to_owned(), if style.explode { "." } else { "," }),
        "matrix" => (format!(";{}=", encode(name)), ","),
        _ => (String::new(), ","),
    };
    if style.name == "matrix" && style.explode {
        let pairs = match value {
            Value::Array(items) => items.iter().map(|item| (name.to_owned(), scalar(item))).collect(),
            Value::Object(members) => {
                members.iter().map(|(key, value)| (key.clone(), scalar(value))).collect()
            }
            one => vec![(name.to_owned(), scalar(one))],
        };
        let pair = |(key, value): &(String, String)| format!(";{}={}", encode(key), encode(value));
        return pairs.iter().map(pair).collect();
    }
    format!("{begin}{}", encoded_list(value, style.explode, between))
}

fn in_query(name: &str, value: &Value, style: Style<'_>, parameter: &Value, query: &mut Vec<String>) {
    let key = encode(name);
    if parameter["content"].is_object() {
        query.push(format!("{key}={}", encode(&value.to_string())));
        return;
    }
    match (value, style.name) {
        (Value::Object(members), "deepObject") => query.extend(members.iter().map(|(member, value)| {
            format!("{}={}", encode(&format!("{name}[{member}]")), encode(&scalar(value)))
        })),
        (Value::Object(members), _) if style.explode => query.extend(
            members.iter().map(|(member, value)| format!("{}={}", encode(member), encode(&scalar(value)))),
        ),
        (Value::Array(items), _) if style.explode => {
            query.extend(items.iter().map(|item| format!("{key}={}", encode(&scalar(item)))));
        }
        _ => {
            let between = match style.name {
                "spaceDelimited" => "%20",
                "pipeDelimited" => "%7C",
                "tabDelimited" => "%09",
                _ => ",",
            };
            query.push(format!("{key}={}", encoded_list(value, false, between)));
        }
    }
}

/// A value's parts, each encoded, with something between them.
fn encoded_list(value: &Value, explode: bool, between: &str) -> String {
    let parts: Vec<String> = match value {
        Value::Array(items) => items.iter().map(|item| encode(&scalar(item))).collect(),
        Value::Object(members) if explode => {
            members.iter().map(|(key, value)| format!("{}={}", encode(key), encode(&scalar(value)))).collect()
        }
        Value::Object(members) => {
            members.iter().flat_map(|(key, value)| [encode(key), encode(&scalar(value))]).collect()
        }
        one => vec![encode(&scalar(one))],
    };
    parts.join(between)
}

/// A value as a header has it: nothing is encoded.
fn plain(value: &Value, explode: bool) -> String {
    let parts: Vec<String> = match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        Value::Object(members) if explode => {
            members.iter().map(|(key, value)| format!("{key}={}", scalar(value))).collect()
        }
        Value::Object(members) => {
            members.iter().flat_map(|(key, value)| [key.clone(), scalar(value)]).collect()
        }
        one => vec![scalar(one)],
    };
    parts.join(",")
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The body of an OpenAPI 3 operation: what is called `body`, or an object of what no parameter took.
fn body(
    operation: &Operation<'_>,
    given: &Map<String, Value>,
    left: &[&String],
) -> Result<Option<(String, String)>, Fault> {
    let Some((media_types, is_required)) = operation.body() else { return Ok(None) };
    let members = || left.iter().map(|name| ((*name).clone(), given[name.as_str()].clone())).collect();
    let value = match left {
        [] if is_required => return Err(required(BODY, operation)),
        [] => return Ok(None),
        [one] if one.as_str() == BODY && !has_member(operation, media_types, BODY) => given[BODY].clone(),
        _ => Value::Object(members()),
    };
    let media = media_type(media_types.keys().map(String::as_str))?;
    Ok(Some((media.to_owned(), text(media, &value))))
}

/// Whether the body's own schema has a member of this name.
fn has_member(operation: &Operation<'_>, media_types: &Map<String, Value>, name: &str) -> bool {
    media_types.values().any(|media| {
        let schema = resolve(operation.document, &media["schema"]);
        schema["properties"].get(name).is_some()
    })
}

fn swagger_body(operation: &Operation<'_>, value: &Value) -> (String, String) {
    let media = media_type(operation.consumes().into_iter()).unwrap_or("application/json");
    (media.to_owned(), text(media, value))
}

/// The media type that we write best.
fn media_type<'a>(offered: impl Iterator<Item = &'a str>) -> Result<&'a str, Fault> {
    let rank = |media: &str| {
        let bare = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match bare.as_str() {
            "application/json" => Some(0),
            "*/*" | "application/*" => Some(1),
            bare if bare.ends_with("+json") => Some(2),
            FORM => Some(3),
            bare if bare.starts_with("multipart/") => None,
            _ => Some(4),
        }
    };
    let best = offered.filter_map(|media| Some((rank(media)?, media))).min_by_key(|(rank, _)| *rank);
    let refused = || configuration("the operation takes no media type that is offered here");
    best.map(|(rank, media)| if rank == 1 { "application/json" } else { media }).ok_or_else(refused)
}

fn text(media: &str, value: &Value) -> String {
    let is_json = media.contains("json");
    match value {
        Value::Object(members) if media.starts_with(FORM) => pairs(
            &members.iter().map(|(name, value)| (name.clone(), plain(value, false))).collect::<Vec<_>>(),
        ),
        Value::String(text) if !is_json => text.clone(),
        other => other.to_string(),
    }
}

fn pairs(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn built(operation: &Value, given: &Value) -> Result<Built, Fault> {
        let version = if operation["swagger"] == true { "swagger" } else { "openapi" };
        let number = if version == "swagger" { "2.0" } else { "3.1.0" };
        let path = operation["path"].as_str().unwrap_or("/x");
        let mut content = operation.clone();
        content["operationId"] = "do".into();
        let document = json!({version: number, "paths": {path: {"post": content}}});
        build(&Operation::find(&document, "do").unwrap(), given.as_object().unwrap().clone())
    }

    fn target(parameter: &Value, path: &str, value: &Value) -> String {
        let mut parameter = parameter.clone();
        parameter["name"] = "p".into();
        built(&json!({"path": path, "parameters": [parameter]}), &json!({"p": value})).unwrap().target
    }

    #[test]
    fn queries_are_written_in_their_style() {
        let (list, object) = (json!(["a b", 1]), json!({"k": "v", "n": 2}));
        for (parameter, value, expected) in [
            (json!({}), &list, "/x?p=a%20b&p=1"),
            (json!({"explode": false}), &list, "/x?p=a%20b,1"),
            (json!({"style": "spaceDelimited"}), &list, "/x?p=a%20b%201"),
            (json!({"style": "pipeDelimited"}), &list, "/x?p=a%20b%7C1"),
            (json!({"style": "deepObject"}), &object, "/x?p%5Bk%5D=v&p%5Bn%5D=2"),
            (json!({}), &object, "/x?k=v&n=2"),
            (json!({"explode": false}), &object, "/x?p=k,v,n,2"),
            (json!({"content": {"application/json": {}}}), &json!({"a": 1}), "/x?p=%7B%22a%22%3A1%7D"),
            (json!({"type": "array"}), &list, "/x?p=a%20b,1"),
            (json!({"type": "array", "collectionFormat": "multi"}), &list, "/x?p=a%20b&p=1"),
            (json!({"type": "array", "collectionFormat": "tsv"}), &list, "/x?p=a%20b%091"),
        ] {
            let mut parameter = parameter;
            parameter["in"] = "query".into();
            assert_eq!(target(&parameter, "/x", value), expected, "{parameter}");
        }
    }

    #[test]
    fn paths_are_written_in_their_style() {
        for (parameter, value, expected) in [
            (json!({}), json!("a/b"), "/x/a%2Fb"),
            (json!({}), json!([1, 2]), "/x/1,2"),
            (json!({"explode": true}), json!({"a": 1}), "/x/a=1"),
            (json!({"style": "label"}), json!(5), "/x/.5"),
            (json!({"style": "matrix"}), json!(5), "/x/;p=5"),
            (json!({"style": "matrix", "explode": true}), json!([1, 2]), "/x/;p=1;p=2"),
        ] {
            let mut parameter = parameter;
            parameter["in"] = "path".into();
            assert_eq!(target(&parameter, "/x/{p}", &value), expected, "{parameter}");
        }
    }

    #[test]
    fn headers_and_cookies_are_set() {
        let operation = json!({"parameters": [
            {"name": "X-Trace", "in": "header"}, {"name": "a", "in": "cookie"}, {"name": "b", "in": "cookie"}]});
        let built = built(&operation, &json!({"X-Trace": [1, 2], "a": "x y", "b": 1, })).unwrap();

        let expected = [("X-Trace", "1,2"), ("cookie", "a=x%20y; b=1")];
        assert_eq!(built.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_body_is_what_is_called_so_or_what_no_parameter_took() {
        let operation = |media: &str| json!({"parameters": [{"name": "id", "in": "query"}], "requestBody": {"content": {media: {}}}});
        let text = |media: &str, given: Value| built(&operation(media), &given).unwrap().body.unwrap();

        assert_eq!(text("application/json", json!({"body": {"a": 1}})).1, "{\"a\":1}");
        assert_eq!(text("application/json", json!({"id": 1, "a": 1, "body": 2})).1, "{\"a\":1,\"body\":2}");
        assert_eq!(text(FORM, json!({"a": "x y", "b": 1})).1, "a=x+y&b=1");
        assert_eq!(
            text("application/yaml", json!({"body": "do: []"})),
            ("application/yaml".into(), "do: []".into())
        );
        assert!(built(&operation("multipart/form-data"), &json!({"body": 1})).is_err());
        assert_eq!(built(&operation("application/json"), &json!({})).unwrap().body, None);
    }

    #[test]
    fn an_older_documents_body_and_form_are_parameters() {
        let body = json!({"swagger": true, "parameters": [{"name": "pet", "in": "body"}]});
        let form =
            json!({"swagger": true, "parameters": [{"name": "a", "in": "formData", "type": "string"}]});

        for given in [json!({"pet": {"n": 1}}), json!({"body": {"n": 1}})] {
            assert_eq!(
                built(&body, &given).unwrap().body.unwrap(),
                ("application/json".into(), "{\"n\":1}".into())
            );
        }
        assert_eq!(built(&form, &json!({"a": "1 2"})).unwrap().body.unwrap(), (FORM.into(), "a=1+2".into()));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let operation = json!({"parameters": [{"name": "id", "in": "query", "required": true}]});
        let fault = |given: Value| built(&operation, &given).unwrap_err();
        let needs_body = json!({"requestBody": {"required": true, "content": {"application/json": {}}}});

        let missing = fault(json!({"id": null}));
        assert!(missing.r#type.ends_with("/validation") && missing.detail.unwrap().contains("`id`"));
        let unknown = fault(json!({"id": 1, "nonsense": 1}));
        assert!(unknown.r#type.ends_with("/configuration") && unknown.detail.unwrap().contains("`nonsense`"));
        assert!(built(&needs_body, &json!({})).unwrap_err().detail.unwrap().contains("`body`"));
    }
}
