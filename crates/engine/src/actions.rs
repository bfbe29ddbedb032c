//! What commands ask of the outside: HTTP calls through `egress`.
//!
//! Invariant: every request carries the `Idempotency-Key` of its operation, the same after every restart,
//! unless its author set one.
//! Not here: when to call, what to do with the answer.

use openevent_domain::id::RunId;
use openevent_egress::{Client, OverLimit, Redirects, Request, Response};
use openevent_flow::{Call, Fault, FaultKind, HttpCall, HttpOutput, Input};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How calls are performed.
#[derive(Clone, Debug)]
pub enum Calls {
    /// Over the network.
    Real(Client),
    /// Answered at once with `{}`: isolates the engine in benchmarks.
    Instant,
}

/// Levels of an answer that is read as JSON; the interpreter takes no deeper data.
const ANSWER_DEPTH_MAX: usize = 100;
/// The header that makes a repeated call harmless.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Performs a call; the answer is the run's next input.
pub(crate) async fn perform(calls: &Calls, run: &RunId, op: u64, call: Call, deadline: Duration) -> Input {
    match (calls, call) {
        (Calls::Instant, _) => instant(op),
        (Calls::Real(client), Call::Http(http)) => match http_request(run, op, &http, deadline) {
            Ok(request) => match client.send(request).await {
                Ok(response) => Input::Done { op, value: answer(&http, response) },
                Err(cause) => Input::Failed { op, error: fault(&cause) },
            },
            Err(error) => Input::Failed { op, error },
        },
        (Calls::Real(_), _) => {
            let error =
                Fault::new(FaultKind::Configuration, "this kind of call is not offered by this server");
            Input::Failed { op, error }
        }
    }
}

/// The answer of [`Calls::Instant`].
pub(crate) fn instant(op: u64) -> Input {
    Input::Done {
        op,
        value: json!({"status": 200, "headers": {"content-type": "application/json"}, "body": {}}),
    }
}

fn http_request(run: &RunId, op: u64, http: &HttpCall, deadline: Duration) -> Result<Request, Fault> {
    let method = http
        .method
        .parse()
        .map_err(|_| Fault::new(FaultKind::Configuration, format!("`{}` is no HTTP method", http.method)))?;
    let mut request = Request::new(method, http.uri.clone());
    request.headers.clone_from(&http.headers);
    let has = |headers: &[(String, String)], name: &str| {
        headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    if !has(&request.headers, IDEMPOTENCY_KEY) {
        request.headers.push((IDEMPOTENCY_KEY.to_owned(), format!("{run}/{op}")));
    }
    if !has(&request.headers, "user-agent") {
        request
            .headers
            .push(("user-agent".to_owned(), concat!("openevent/", env!("CARGO_PKG_VERSION")).to_owned()));
    }
    if let Some(body) = &http.body {
        let (bytes, media_type) = match body {
            Value::String(text) => (text.clone(), "text/plain; charset=utf-8"),
            other => (other.to_string(), "application/json"),
        };
        request.body = bytes.into();
        if !has(&request.headers, "content-type") {
            request.headers.push(("content-type".to_owned(), media_type.to_owned()));
        }
    }
    request.deadline = deadline;
    request.redirects = if http.redirect { Redirects::Follow } else { Redirects::Never };
    request.body_over_limit = OverLimit::Fail;
    Ok(request)
}

/// The answer as the interpreter wants it: JSON where it is JSON, else text; base64 where raw bytes are asked for.
fn answer(http: &HttpCall, response: Response) -> Value {
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
    match http.output {
        HttpOutput::Raw => value["raw"] = Value::String(base64(&response.body)),
        HttpOutput::Content | HttpOutput::Response if response.body.is_empty() => {}
        HttpOutput::Content | HttpOutput::Response => value["body"] = content(&response),
    }
    value
}

fn content(response: &Response) -> Value {
    let too_deep = openevent_domain::json::deeper_than(&response.body, ANSWER_DEPTH_MAX);
    let parsed = if too_deep { None } else { serde_json::from_slice(&response.body).ok() };
    parsed.unwrap_or_else(|| Value::String(String::from_utf8_lossy(&response.body).into_owned()))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn fault(cause: &openevent_egress::Error) -> Fault {
    use openevent_egress::Error;
    match cause {
        Error::Timeout { .. } => Fault::new(FaultKind::Timeout, cause.to_string()),
        Error::InvalidUrl { .. } => Fault::new(FaultKind::Configuration, cause.to_string()),
        _ => Fault::new(FaultKind::Communication, cause.to_string()),
    }
}
