//! `call: http`: the request as it is sent, and the answer as the interpreter wants it.
//!
//! Invariant: every request carries the `Idempotency-Key` of its operation, unless its author set one.
//! Not here: proving who calls (`authentication`), sockets (`egress`).

use super::veil::{Concealer, Veil};
use super::{Order, Outside};
use openevent_egress::{Client, OverLimit, Redirects, Request, Response};
use openevent_flow::{Fault, FaultKind, HttpCall, HttpOutput};
use serde_json::{Map, Value, json};

/// Levels of an answer that is read as JSON; the interpreter takes no deeper data.
const ANSWER_DEPTH_MAX: usize = 100;
/// The header that makes a repeated call harmless.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Who calls.
pub(super) const USER_AGENT: &str = concat!("openevent/", env!("CARGO_PKG_VERSION"));

impl Outside {
    /// Performs an HTTP call.
    pub(super) async fn http(
        &self,
        client: &Client,
        order: &Order,
        call: HttpCall,
        veil: &mut Veil,
    ) -> Result<Value, Fault> {
        let HttpCall { method, uri, headers, body, authentication, redirect, output, .. } = call;
        let headers = headers
            .into_iter()
            .map(|(name, value)| Ok((name, veil.reveal(&value)?)))
            .collect::<Result<_, Fault>>()?;
        let plain = Plain {
            method,
            uri: veil.reveal(&uri)?,
            headers,
            body: body.map(|body| veil.reveal_json(body)).transpose()?,
        };
        let request = self.request(order, plain, redirect)?;
        let (response, authorization) =
            self.exchange(client, &order.tenant, request, authentication, veil).await?;
        Ok(answer(output, &response, authorization, &veil.conceal()))
    }

    /// The request with everything a caller would not think of.
    pub(super) fn request(&self, order: &Order, plain: Plain, redirect: bool) -> Result<Request, Fault> {
        let Plain { method, uri, headers, body } = plain;
        let method = method
            .parse()
            .map_err(|_| Fault::new(FaultKind::Configuration, format!("`{method}` is no HTTP method")))?;
        let mut request = Request::new(method, uri);
        request.headers = headers;
        add_unless_there(&mut request.headers, IDEMPOTENCY_KEY, || order.key());
        add_unless_there(&mut request.headers, "user-agent", || USER_AGENT.to_owned());
        if let Some(body) = body {
            let (bytes, media_type) = match body {
                Value::String(text) => (text, "text/plain; charset=utf-8"),
                other => (other.to_string(), "application/json"),
            };
            request.body = bytes.into();
            add_unless_there(&mut request.headers, "content-type", || media_type.to_owned());
        }
        request.deadline = self.settings.call_deadline;
        request.redirects = if redirect { Redirects::Follow } else { Redirects::Never };
        request.body_over_limit = OverLimit::Fail;
        Ok(request)
    }
}

/// A request in the author's words, secrets included.
pub(super) struct Plain {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

/// Whether a header is among those given.
pub(super) fn has(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
}

/// Adds a header that the author did not give.
pub(super) fn add_unless_there(
    headers: &mut Vec<(String, String)>,
    name: &str,
    value: impl FnOnce() -> String,
) {
    if !has(headers, name) {
        headers.push((name.to_owned(), value()));
    }
}

/// The answer as the interpreter wants it: JSON where it is JSON, else text; base64 where raw bytes are asked for.
pub(super) fn answer(
    output: HttpOutput,
    response: &Response,
    authorization: Option<Value>,
    concealer: &Concealer,
) -> Value {
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        match headers.get_mut(name) {
            Some(Value::String(seen)) => {
                seen.push_str(", ");
                seen.push_str(value);
            }
            _ => drop(headers.insert(name.clone(), Value::String(value.clone()))),
        }
    }
    let mut value = json!({"status": response.status, "headers": headers, "uri": response.url});
    match output {
        HttpOutput::Raw => value["raw"] = Value::String(base64(&concealer.bytes(&response.body))),
        HttpOutput::Content | HttpOutput::Response if response.body.is_empty() => {}
        HttpOutput::Content | HttpOutput::Response => value["body"] = content(&response.body),
    }
    if let Some(authorization) = authorization {
        value["authorization"] = authorization;
    }
    value
}

/// JSON where it is JSON, else text.
pub(super) fn content(body: &[u8]) -> Value {
    let too_deep = openevent_domain::json::deeper_than(body, ANSWER_DEPTH_MAX);
    let parsed = if too_deep { None } else { serde_json::from_slice(body).ok() };
    parsed.unwrap_or_else(|| Value::String(String::from_utf8_lossy(body).into_owned()))
}

pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
