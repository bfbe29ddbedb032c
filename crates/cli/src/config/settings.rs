//! How each kind of setting is written.
//!
//! Invariant: a reader either understands the whole text or says, in words for an operator, what it expected.
//! Not here: where the text came from (`layers.rs`).

use http::HeaderName;
use openevent_domain::duration::{BadDuration, parse_ms};
use openevent_engine::Lifecycle;
use std::net::{Ipv4Addr, SocketAddr};
use tracing_subscriber::EnvFilter;

/// `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = named.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    local.or_else(|| text.parse().ok()).ok_or_else(|| {
        format!(
            "`{text}` is not an address and a port such as 127.0.0.1:8080 (0.0.0.0:8080 is every interface)"
        )
    })
}

/// A duration above zero.
pub(super) fn span_ms(text: &str) -> Result<u64, String> {
    match parse_ms(text).map_err(|bad| bad.to_string())? {
        0 => Err(format!("`{text}` is no time at all")),
        ms => Ok(ms),
    }
}

/// A duration; zero is fine.
pub(super) fn span_ms_or_zero(text: &str) -> Result<u64, BadDuration> {
    parse_ms(text)
}

/// A duration, or `off`.
pub(super) fn span_ms_or_off(text: &str) -> Result<Option<u64>, String> {
    if text == "off" { Ok(None) } else { span_ms(text).map(Some) }
}

/// Durations between commas.
pub(super) fn spans_ms(text: &str) -> Result<Vec<u64>, String> {
    text.split(',').map(span_ms).collect()
}

/// A whole number above zero.
pub(super) fn count(text: &str) -> Result<u32, String> {
    let refused = || format!("`{text}` is not a whole number from 1 to {}", u32::MAX);
    text.trim().parse().ok().filter(|count| *count > 0).ok_or_else(refused)
}

/// The name of a header.
pub(super) fn header(text: &str) -> Result<HeaderName, String> {
    text.parse().map_err(|_| format!("`{text}` is not the name of a header, such as x-forwarded-for"))
}

/// Where others reach this server: scheme and host, perhaps a port.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    let refused = || format!("`{text}` is not like https://events.example.org");
    let uri: http::Uri = text.parse().map_err(|_| refused())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.authority().filter(|host| is_web && !host.as_str().contains('@'));
    match (host, uri.path(), uri.query()) {
        (Some(host), "/" | "", None) => Ok(format!("{}://{host}", uri.scheme_str().unwrap_or_default())),
        _ => Err(refused()),
    }
}

/// `1`/`true`/`on` or `0`/`false`/`off`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" | "on" | "yes" => Ok(true),
        "0" | "false" | "off" | "no" => Ok(false),
        _ => Err(format!("`{text}` is neither on nor off")),
    }
}

/// `listened`, `all` or `off`.
pub(super) fn lifecycle(text: &str) -> Result<Lifecycle, String> {
    match text {
        "listened" => Ok(Lifecycle::Listened),
        "all" => Ok(Lifecycle::All),
        "off" => Ok(Lifecycle::Off),
        _ => Err(format!("`{text}` is none of listened, all, off")),
    }
}

/// `host:port`, checked by whoever connects.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let port = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_some() {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not host:port, such as 127.0.0.1:7233"))
    }
}

/// A PostgreSQL URL. The text is not repeated: it holds a password.
pub(super) fn database_url(text: &str) -> Result<String, &'static str> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(text.to_owned())
    } else {
        Err("it has to begin with postgres://; for SQLite leave it out and set data_dir")
    }
}

/// A filter such as `info,openevent_store=debug`.
pub(super) fn filter(text: &str) -> Result<String, String> {
    let parsed = EnvFilter::builder().parse(text);
    parsed
        .map(|_| text.to_owned())
        .map_err(|cause| format!("`{text}` is not a log filter such as info,openevent_store=debug: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        assert_eq!(address("localhost:80").map(|at| at.to_string()), Ok("127.0.0.1:80".into()));
        assert_eq!(address("[::1]:0").map(|at| at.ip().is_loopback()), Ok(true));
        for text in ["8080", "127.0.0.1", "example.com:80", "localhost:", "localhost:99999", ""] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin() {
        assert_eq!(public_url("https://events.example.org/"), Ok("https://events.example.org".to_owned()));
        for text in ["events.example.org", "ftp://x", "https://x/path", "https://x/?q", "https://me@x", ""] {
            assert!(public_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_spans_are_above_zero() {
        assert!(count("0").is_err() && count("-1").is_err() && count("1e3").is_err());
        assert!(span_ms("0s").is_err() && span_ms_or_zero("0s").is_ok());
        assert_eq!(span_ms_or_off("off"), Ok(None));
        assert_eq!(spans_ms("1m, 5m,1h"), Ok(vec![60_000, 300_000, 3_600_000]));
        assert!(spans_ms("1m,,5m").is_err());
    }

    #[test]
    fn a_database_url_is_never_repeated() {
        let refused = database_url("mysql://me:secret@host/db").unwrap_err();
        assert!(!refused.contains("secret"));
    }

    #[test]
    fn filters_are_checked() {
        assert!(filter("info,openevent_store=debug").is_ok());
        assert!(filter("openevent=loudly").is_err());
    }
}
