//! Where this site is, as its readers see it: what absolute addresses begin with.
//!
//! Invariant: without a trailing slash. What a client sends in `Host` is used only where the operator has not said,
//! and only when it is a plain host.
//! Not here: paths.

use crate::state::App;
use axum::extract::FromRequestParts;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use std::convert::Infallible;
use std::sync::Arc;

/// The beginning of absolute addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site(String);

impl Site {
    /// The absolute address of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    fn of(public_url: Option<&str>, host: Option<&str>) -> Self {
        if let Some(url) = public_url {
            return Self(url.trim_end_matches('/').to_owned());
        }
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        let host = host.filter(|host| !host.as_str().contains('@'));
        Self(format!("http://{}", host.as_ref().map_or("localhost", Authority::as_str)))
    }
}

impl FromRequestParts<Arc<App>> for Site {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        Ok(Self::of(app.settings.public_url.as_deref(), host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_word_wins_and_a_strange_host_is_not_repeated() {
        for (public_url, host, expected) in [
            (Some("https://events.example.org/"), Some("other"), "https://events.example.org/events"),
            (None, Some("127.0.0.1:8080"), "http://127.0.0.1:8080/events"),
            (None, Some("me:secret@example.org"), "http://localhost/events"),
            (None, Some("a b\"><script>"), "http://localhost/events"),
            (None, None, "http://localhost/events"),
        ] {
            assert_eq!(Site::of(public_url, host).at("/events"), expected);
        }
    }
}
