//! `listen --forward-to URL`: live signals to a program on the developer's machine, signed as webhooks are.
//!
//! Invariant: every signal of the stream is posted once, in order; a broken stream goes on after the last one.
//! Not here: durable deliveries, which are the server's webhooks; a refused post is told and not repeated.

use crate::ambient::{SystemChance, SystemClock};
use crate::args::Listen;
use crate::config::{Config, Environment};
use crate::failure::{failed, usage};
use crate::output::{Output, Style, clean};
use crate::remote::Remote;
use openevent_domain::ambient::{Clock as _, Millis};
use openevent_domain::signal::rfc3339;
use openevent_domain::webhook::{DeliveryId, Pattern, Signer, body, headers, mint_secret};
use openevent_egress::{Client, Limits, Loopback, OverLimit, Policy, Request, parse_allow_list};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use url::Url;

/// How long the program may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of its answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Before a broken stream is opened again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Bytes of one server-sent event; a signal is at most 1 MiB.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Runs until it is interrupted.
pub(crate) async fn run(
    listen: Listen,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<()> {
    let patterns = listen.events.iter().map(|text| {
        Pattern::parse(text)
            .map_err(|bad| usage(format!("`{text}`: {bad}"), "such as --events order.created,vendor.*"))
    });
    let patterns = patterns.collect::<anyhow::Result<Vec<_>>>()?;
    let receiver = listen.forward_to.as_deref().map(|to| Receiver::new(to, listen.secret)).transpose()?;
    let remote = Remote::new(&listen.remote, config, environment)?;
    let mut listener = Listener { remote, patterns, receiver, output, last: listen.since };
    listener.introduce()?;
    tokio::select! {
        ended = listener.listen(&listen.events) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

struct Listener {
    remote: Remote,
    patterns: Vec<Pattern>,
    receiver: Option<Receiver>,
    output: Output,
    /// The signal that was seen last.
    last: Option<String>,
}

/// The program that signals are posted to.
struct Receiver {
    client: Client,
    url: String,
    secret: String,
    is_minted: bool,
    signer: Signer,
}

impl Receiver {
    fn new(to: &str, secret: Option<String>) -> anyhow::Result<Self> {
        let hint = "such as --forward-to http://localhost:3000/hook";
        let url = Url::parse(to).map_err(|cause| usage(format!("--forward-to is no URL: {cause}"), hint))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(usage("--forward-to has to begin with http:// or https://", hint));
        }
        let is_minted = secret.is_none();
        let secret = secret.unwrap_or_else(|| mint_secret(&SystemChance));
        // Whoever runs this names the address themselves.
        let everywhere = parse_allow_list("0.0.0.0/0, ::/0")?;
        let client = Client::new(Policy::new(everywhere, Loopback::Allowed), Limits::default());
        Ok(Self { client, url: url.into(), signer: Signer::of(&secret), secret, is_minted })
    }

    /// Posts a signal; what was answered, or why nothing was.
    async fn post(&self, signal: &Value) -> Result<u16, String> {
        let now = SystemClock.now();
        let (id, name) = (DeliveryId::mint(now, &SystemChance), signal["name"].as_str().unwrap_or_default());
        let received_at: Millis = signal["receivedAt"].as_i64().unwrap_or(now);
        let bytes = body(&id, name, received_at, &signal["payload"].to_string());
        let request = Request {
            headers: headers(&id, name, std::iter::once(&self.signer), &bytes, now),
            body: bytes.into(),
            deadline: PATIENCE,
            body_over_limit: OverLimit::Truncate,
            response_bytes_max: Some(ANSWER_BYTES_MAX),
            ..Request::new(http::Method::POST, self.url.as_str())
        };
        self.client.send(request).await.map(|answer| answer.status).map_err(|cause| cause.to_string())
    }
}

impl Listener {
    fn introduce(&self) -> anyhow::Result<()> {
        let Some(receiver) = &self.receiver else { return Ok(()) };
        if self.output.is_json() {
            return Ok(());
        }
        if receiver.is_minted {
            self.output.line(&format!("signed with {}", receiver.secret))?;
        }
        self.output.line(&format!("forwarding to {}", clean(&receiver.url)))
    }

    /// Follows the stream, and opens it again whenever it breaks.
    async fn listen(&mut self, events: &[String]) -> anyhow::Result<()> {
        let mut pause = PAUSES.0;
        let mut was_open = false;
        loop {
            // One pattern the server can look at; several are sorted out here.
            let query: Vec<(&str, &str)> = match events {
                [one] => vec![("name", one.as_str())],
                _ => Vec::new(),
            };
            let resumed = self.last.iter().map(|last| ("Last-Event-ID".to_owned(), last.clone())).collect();
            match self.remote.follow(&["stream"], &query, resumed).await {
                Ok(stream) => {
                    (was_open, pause) = (true, PAUSES.0);
                    self.follow(stream).await?;
                    self.output.remark("the stream broke off; going on");
                }
                // What never worked will not by itself.
                Err(cause) if !was_open => return Err(cause),
                Err(cause) => self.output.remark(&format!("{cause}; trying again")),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn follow(&mut self, mut stream: openevent_egress::Stream) -> anyhow::Result<()> {
        let mut lines = Lines::default();
        while let Ok(Some(piece)) = stream.next().await {
            lines.push(&piece)?;
            while let Some(event) = lines.event() {
                self.take(&event).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, event: &Event) -> anyhow::Result<()> {
        if !event.id.is_empty() {
            self.last = Some(event.id.clone());
        }
        let Ok(signal) = serde_json::from_str::<Value>(&event.data) else { return Ok(()) };
        let name = signal["name"].as_str().unwrap_or_default();
        if !self.patterns.iter().any(|pattern| pattern.matches(name)) {
            return Ok(());
        }
        let began = Instant::now();
        let posted = match &self.receiver {
            Some(receiver) => Some(receiver.post(&signal).await),
            None => None,
        };
        self.tell(&signal, posted, began.elapsed())
    }

    fn tell(
        &self,
        signal: &Value,
        posted: Option<Result<u16, String>>,
        took: Duration,
    ) -> anyhow::Result<()> {
        if self.output.is_json() {
            let (status, error) = match posted {
                Some(Ok(status)) => (Some(status), None),
                Some(Err(error)) => (None, Some(error)),
                None => (None, None),
            };
            return self.output.json(&json!({"signal": signal, "status": status, "error": error}));
        }
        let text = |name: &str| clean(signal[name].as_str().unwrap_or_default());
        let at = signal["receivedAt"].as_i64().map(rfc3339).unwrap_or_default();
        let outcome = match posted {
            Some(Ok(status @ 200..=299)) => {
                format!("  {} {} ms", self.output.paint(Style::Green, &status.to_string()), took.as_millis())
            }
            Some(Ok(status)) => {
                format!("  {} {} ms", self.output.paint(Style::Red, &status.to_string()), took.as_millis())
            }
            Some(Err(error)) => format!("  {}", self.output.paint(Style::Red, &clean(&error))),
            None => format!("  {}", clean(&signal["payload"].to_string())),
        };
        self.output.line(&format!("{at}  {}  {}{outcome}", text("id"), text("name")))
    }
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: String,
    data: String,
}

/// Bytes on their way to becoming events.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        if self.0.len() + piece.len() > EVENT_BYTES_MAX {
            return Err(failed(
                "the server sent an event that is too long",
                "is this an Open Event server? check --url",
            ));
        }
        self.0.extend_from_slice(piece);
        Ok(())
    }

    /// The next whole event; comments are let go of.
    fn event(&mut self) -> Option<Event> {
        loop {
            let end = self.0.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.0.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                    .map(|text| text.trim().to_owned())
            };
            if let Some(data) = field("data") {
                return Some(Event { id: field("id").unwrap_or_default(), data });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_pieces() {
        let mut lines = Lines::default();
        lines.push(b": open\nretry: 1000\n\nid: a\nevent: sig").unwrap();
        assert_eq!(lines.event(), None);
        lines.push(b"nal\ndata: {\"n\":1}\n\n: still here\n\nid: b\ndata: {}\n\n").unwrap();
        assert_eq!(lines.event(), Some(Event { id: "a".into(), data: "{\"n\":1}".into() }));
        assert_eq!(lines.event(), Some(Event { id: "b".into(), data: "{}".into() }));
        assert_eq!(lines.event(), None);
        assert!(lines.push(&vec![b'x'; EVENT_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn a_receiver_is_a_web_address() {
        assert!(Receiver::new("ftp://x", None).is_err() && Receiver::new("nonsense", None).is_err());
        let receiver = Receiver::new("http://localhost:3000/hook", None).unwrap();
        assert!(receiver.secret.starts_with("whsec_") && receiver.is_minted);
    }
}
