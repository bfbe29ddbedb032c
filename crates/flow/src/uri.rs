//! Addresses: URI templates (RFC 6570, simple expansion) and query strings.
//!
//! Invariant: whatever is put into an address is percent-encoded. Not here: connecting to it.

use std::fmt::Write;

use crate::jq::Val;

/// Whether text looks like `scheme://…`, as the DSL asks of URIs and URI templates.
pub(crate) fn is_absolute(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// The braces of a template must match and hold a name.
pub(crate) fn check_template(template: &str) -> Result<(), String> {
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let Some(after) = rest[at..].strip_prefix('{') else {
            return Err("a '}' without its '{'".to_owned());
        };
        let Some(end) = after.find(['{', '}']).filter(|end| after[*end..].starts_with('}')) else {
            return Err("a '{' without its '}'".to_owned());
        };
        if end == 0 {
            return Err("an empty '{}'".to_owned());
        }
        rest = &after[end + 1..];
    }
    Ok(())
}

/// Replaces each `{name}` by the member of that name, or by nothing.
pub(crate) fn expand(template: &str, data: &Val) -> Result<String, String> {
    let mut expanded = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        expanded.push_str(before);
        if let Some(val) = data.get(name) {
            let text = scalar(val).ok_or_else(|| {
                format!("'{{{name}}}' needs text, a number or a boolean, not an {}", val.kind())
            })?;
            encode(&text, &mut expanded);
        }
        rest = tail;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The text of a scalar; null is empty.
pub(crate) fn scalar(val: &Val) -> Option<String> {
    match val {
        Val::Null => Some(String::new()),
        Val::Str(text) => Some(text.as_str().to_owned()),
        Val::Arr(_) | Val::Obj(_) => None,
        other => Some(other.to_string()),
    }
}

/// Appends the members of an object to an address's query; lists repeat the name, null leaves it out.
pub(crate) fn with_query(mut uri: String, query: &Val) -> Result<String, String> {
    let Val::Obj(query) = query else {
        return Err(format!("the query must be an object, not {}", query.kind()));
    };
    let fragment = uri.find('#').map(|at| uri.split_off(at)).unwrap_or_default();
    for (name, val) in query.members() {
        let single = std::slice::from_ref(val);
        let values = if let Val::Arr(array) = val { array.items() } else { single };
        for val in values.iter().filter(|val| !matches!(val, Val::Null)) {
            let text = scalar(val).unwrap_or_else(|| val.to_string());
            uri.push(if uri.contains('?') { '&' } else { '?' });
            encode(name, &mut uri);
            uri.push('=');
            encode(&text, &mut uri);
        }
    }
    Ok(uri + &fragment)
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // writing to a string cannot fail
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn val(value: &serde_json::Value) -> Val {
        Val::from_json(value).expect("small")
    }

    #[test]
    fn names_are_replaced_by_encoded_members() {
        let data = val(&json!({"id": 5, "name": "a b/c", "pet.id": "x", "list": []}));

        assert_eq!(
            expand("https://x/{id}/{name}/{pet.id}/{gone}!", &data).as_deref(),
            Ok("https://x/5/a%20b%2Fc/x/!")
        );
        assert!(expand("https://x/{list}", &data).is_err());
    }

    #[test]
    fn a_query_is_appended_before_the_fragment() {
        let query = val(&json!({"q": "a&b", "n": 1, "list": [1, "x"], "none": null}));

        assert_eq!(
            with_query("https://x/?y=1#top".to_owned(), &query).as_deref(),
            Ok("https://x/?y=1&list=1&list=x&n=1&q=a%26b#top")
        );
    }

    #[test]
    fn broken_templates_are_told() {
        assert!(check_template("https://x/{a}/{b}").is_ok());
        for broken in ["https://x/{a", "https://x/a}", "https://x/{}", "https://x/{a{b}}"] {
            assert!(check_template(broken).is_err(), "{broken}");
        }
    }
}
