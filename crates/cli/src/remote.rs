//! The client of a running server: what the commands ask it over HTTP, and how its refusals read.
//!
//! Invariant: only the server named by the operator is called, redirects are not followed, and the credential
//! is never part of a message.
//! Not here: printing the answers.

use crate::args;
use crate::config::{Config, DEV_TOKEN, Environment};
use crate::failure::{explain, failed, usage};
use http::Method;
use openevent_egress::{
    Bytes, Client, Limits, Loopback, Policy, Request, Response, Stream, parse_allow_list,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use url::Url;

/// A server and the right to ask it.
pub(crate) struct Remote {
    client: Client,
    base: Url,
    token: SecretString,
    patience: Duration,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Silence after which a stream counts as broken; the server says something every fifteen seconds.
const STREAM_PATIENCE: Duration = Duration::from_secs(45);
/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// How long a table may take.
const TABLE_PATIENCE: Duration = Duration::from_mins(30);
/// Bytes of a table that is fetched.
const TABLE_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A body and its media type.
pub(crate) struct Body {
    /// Its media type.
    pub(crate) media: &'static str,
    /// Its bytes.
    pub(crate) bytes: Bytes,
}

impl Remote {
    /// The server that flags, environment and configuration point at, in this order.
    pub(crate) fn new(
        flags: &args::Remote,
        config: &Config,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let named = flags.url.as_deref().or_else(|| environment.get("OPENEVENT_URL"));
        let base = match named {
            Some(text) => base(text)?,
            None => base(&format!("http://{}", reachable(config.listen)))?,
        };
        let given = flags.token.clone().map(SecretString::from);
        let key = || environment.get("OPENEVENT_API_KEY").map(SecretString::from);
        let token = given.or_else(|| config.api_token.clone()).or_else(key);
        let token = token.unwrap_or_else(|| SecretString::from(DEV_TOKEN));
        // The operator names the server on the command line; wherever it is, it may be called.
        let everywhere = parse_allow_list("0.0.0.0/0, ::/0")?;
        let client = Client::new(Policy::new(everywhere, Loopback::Allowed), Limits::default());
        Ok(Self { client, base, token, patience: PATIENCE })
    }

    /// The same, for answers that are tables.
    pub(crate) fn patient(self) -> Self {
        let everywhere = parse_allow_list("0.0.0.0/0, ::/0").unwrap_or_default();
        let limits = Limits { response_bytes_max: TABLE_BYTES_MAX, ..Limits::default() };
        let client = Client::new(Policy::new(everywhere, Loopback::Allowed), limits);
        Self { client, patience: TABLE_PATIENCE, ..self }
    }

    /// The whole address of a path of the server.
    pub(crate) fn shown(&self, path: &str) -> String {
        self.base.join(path).map_or_else(|_| path.to_owned(), String::from)
    }

    /// `GET` of path segments with a query; the envelope that came back.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, query, None).await
    }

    /// Sends a body to path segments; the envelope that came back.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Body>,
    ) -> anyhow::Result<Value> {
        self.read(&self.send(method, (path, query), "application/json", body).await?)
    }

    /// `GET` of something that is no envelope, by its media type; its bytes.
    pub(crate) async fn fetch(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        media: &str,
    ) -> anyhow::Result<Bytes> {
        let response = self.send(Method::GET, (path, query), media, None).await?;
        if (200..300).contains(&response.status) {
            return Ok(response.body);
        }
        self.read(&response).map(|_| Bytes::new())
    }

    /// `GET` of an answer without an end; a refusal is the error it means.
    pub(crate) async fn follow(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        headers: Vec<(String, String)>,
    ) -> anyhow::Result<Stream> {
        let mut request = self.request(Method::GET, (path, query), "text/event-stream");
        request.headers.extend(headers);
        request.deadline = STREAM_PATIENCE;
        let mut stream = self.client.open(request).await.map_err(|cause| self.unreachable(cause))?;
        if stream.status == 200 {
            return Ok(stream);
        }
        let (status, mut body) = (stream.status, Vec::new());
        while let Ok(Some(piece)) = stream.next().await
            && body.len() < REFUSAL_BYTES_MAX
        {
            body.extend_from_slice(&piece);
        }
        Err(self.refused(status, &body))
    }

    fn request(&self, method: Method, (path, query): (&[&str], &[(&str, &str)]), accept: &str) -> Request {
        let mut request = Request::new(method, address(&self.base, path, query));
        let credential = format!("Bearer {}", self.token.expose_secret());
        request.headers = vec![("Authorization".into(), credential), ("Accept".into(), accept.into())];
        request.deadline = self.patience;
        request
    }

    fn unreachable(&self, cause: openevent_egress::Error) -> anyhow::Error {
        let hint = "start it with `openevent serve`, or name another with --url";
        explain(cause, format!("cannot reach {}", self.base), hint)
    }

    async fn send(
        &self,
        method: Method,
        to: (&[&str], &[(&str, &str)]),
        accept: &str,
        body: Option<Body>,
    ) -> anyhow::Result<Response> {
        let mut request = self.request(method, to, accept);
        if let Some(Body { media, bytes }) = body {
            request.headers.push(("Content-Type".into(), media.into()));
            request.body = bytes;
        }
        self.client.send(request).await.map_err(|cause| self.unreachable(cause))
    }

    fn read(&self, response: &Response) -> anyhow::Result<Value> {
        match serde_json::from_slice(&response.body) {
            Ok(envelope) if (200..300).contains(&response.status) => Ok(envelope),
            _ => Err(self.refused(response.status, &response.body)),
        }
    }

    fn refused(&self, status: u16, body: &[u8]) -> anyhow::Error {
        match serde_json::from_slice::<Value>(body) {
            Ok(envelope) if envelope["error"].is_object() => refusal(status, &envelope["error"]),
            _ => {
                let what = format!("{} answered {status} without our envelope", self.base);
                failed(what, "is this an Open Event server? check --url")
            }
        }
    }
}

/// A server's refusal as one line, with what to do about the usual ones.
fn refusal(status: u16, error: &Value) -> anyhow::Error {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let details: Vec<String> = issues(&error["details"]);
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
    let what = format!(
        "the server answered {status} {}: {}{details}",
        text(&error["code"]),
        text(&error["message"])
    );
    let hint = match status {
        401 => "give a token with --token, COMPOZY_API_TOKEN or OPENEVENT_API_KEY",
        403 => "use a credential with the scope it names",
        404 => "check the name or id, and that the credential belongs to its project",
        429 => "wait for the next window, or give the key a higher limit",
        503 => "the database is away; try again, and see the server's log",
        500.. => "see the server's log",
        _ => "correct the request",
    };
    failed(what, hint)
}

/// `details` is a list of `{field, issue}`, or one such object, perhaps with `issues`.
fn issues(details: &Value) -> Vec<String> {
    let one = |detail: &Value| match (detail["field"].as_str(), detail["issue"].as_str()) {
        (Some(field), Some(issue)) => Some(format!("{field}: {issue}")),
        _ => None,
    };
    let many = details.as_array().or_else(|| details["issues"].as_array());
    match many {
        Some(many) => many.iter().filter_map(one).collect(),
        None => one(details).into_iter().collect(),
    }
}

fn base(text: &str) -> anyhow::Result<Url> {
    let hint = "write it like http://127.0.0.1:8080";
    let url = Url::parse(text).map_err(|cause| usage(format!("--url is no URL: {cause}"), hint))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() || !url.username().is_empty() {
        return Err(usage("--url has to be http or https, without a user name", hint));
    }
    Ok(url)
}

/// Where a server that listens here can be reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn address(base: &Url, path: &[&str], query: &[(&str, &str)]) -> String {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["api", "v1"]).extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Report;

    #[test]
    fn paths_and_queries_are_escaped() {
        let base = base("http://127.0.0.1:8080/").unwrap();
        assert_eq!(
            address(&base, &["runs", "a/b?"], &[("status", "x&y")]),
            "http://127.0.0.1:8080/api/v1/runs/a%2Fb%3F?status=x%26y"
        );
    }

    #[test]
    fn a_server_on_every_interface_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80".parse().unwrap()).to_string(), "[::1]:80");
    }

    #[test]
    fn refusals_name_the_fields() {
        let error = serde_json::json!({"code": "validation_error", "message": "Invalid event format",
            "details": {"field": "name", "issue": "field is required"}});
        let report = Report::of(&refusal(400, &error));
        assert_eq!(
            report.what,
            "the server answered 400 validation_error: Invalid event format (name: field is required)"
        );
        assert!(base("ftp://x").is_err() && base("nonsense").is_err());
    }
}
