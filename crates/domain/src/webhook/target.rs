//! Where a webhook goes.
//!
//! Invariant: a target is https; plain http goes to this machine's own loopback, and only in development.
//! Not here: which addresses may be connected to; that is asked when connecting.

use url::{Host, Url};

/// Characters of a URL.
const CHARS_MAX: usize = 2_048;

/// A URL that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUrl(String);

/// Why a URL was refused.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum BadTarget {
    /// It cannot be read.
    #[error("must be a URL such as https://example.com/webhook")]
    Syntax,
    /// It is too long.
    #[error("must have at most {CHARS_MAX} characters")]
    Long,
    /// Not https.
    #[error("must begin with https://")]
    Scheme,
    /// Plain http to another machine.
    #[error("must begin with https://; plain http is for localhost, 127.0.0.1 and [::1] only")]
    Plain,
    /// A name or password in it.
    #[error("must not hold a user name or password")]
    Credentials,
}

impl TargetUrl {
    /// Reads a URL. In `development`, plain http to this very machine is fine.
    pub fn parse(text: &str, development: bool) -> Result<Self, BadTarget> {
        if text.chars().count() > CHARS_MAX {
            return Err(BadTarget::Long);
        }
        let mut url = Url::parse(text).map_err(|_| BadTarget::Syntax)?;
        match url.scheme() {
            "https" => {}
            "http" if !development => return Err(BadTarget::Scheme),
            "http" if is_own(text, &url) => {}
            "http" => return Err(BadTarget::Plain),
            _ => return Err(BadTarget::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadTarget::Credentials);
        }
        if !url.has_host() {
            return Err(BadTarget::Syntax);
        }
        url.set_fragment(None);
        Ok(Self(url.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether it names this machine exactly: as itself, not by a number in disguise.
fn is_own(text: &str, url: &Url) -> bool {
    let authority = text.get("http://".len()..).unwrap_or_default();
    let written = match url.host() {
        Some(Host::Domain("localhost")) => "localhost",
        Some(Host::Ipv4(address)) if address.octets() == [127, 0, 0, 1] => "127.0.0.1",
        Some(Host::Ipv6(address)) if address.is_loopback() => "[::1]",
        _ => return false,
    };
    let begins = authority.get(..written.len()).is_some_and(|start| start.eq_ignore_ascii_case(written));
    begins && matches!(authority.as_bytes().get(written.len()), None | Some(b':' | b'/' | b'?' | b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_goes_anywhere_and_keeps_its_text() {
        for text in ["https://example.com/webhook?a=1", "https://10.0.0.1:8443/"] {
            assert_eq!(TargetUrl::parse(text, false).unwrap().as_str(), text);
        }
        assert_eq!(
            TargetUrl::parse("https://example.com/x#y", false).unwrap().as_str(),
            "https://example.com/x"
        );
    }

    #[test]
    fn plain_http_is_for_this_machine_in_development() {
        for text in
            ["http://localhost:3000/hook", "http://127.0.0.1:1/", "http://[::1]:9/", "http://LOCALHOST/"]
        {
            assert!(TargetUrl::parse(text, true).is_ok(), "{text}");
            assert_eq!(TargetUrl::parse(text, false), Err(BadTarget::Scheme), "{text}");
        }
        for text in [
            "http://example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1.nip.io/",
            "http://127.0.0.2/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost@example.com/",
            "http://user@localhost/",
            "http://0.0.0.0/",
        ] {
            assert_eq!(TargetUrl::parse(text, true), Err(BadTarget::Plain), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for (text, bad) in [
            ("", BadTarget::Syntax),
            ("example.com/hook", BadTarget::Syntax),
            ("https://", BadTarget::Syntax),
            ("ftp://example.com/", BadTarget::Scheme),
            ("file:///etc/passwd", BadTarget::Scheme),
            ("https://me:pw@example.com/", BadTarget::Credentials),
        ] {
            assert_eq!(TargetUrl::parse(text, true), Err(bad), "{text}");
        }
        assert_eq!(
            TargetUrl::parse(&format!("https://a.b/{}", "x".repeat(3_000)), true),
            Err(BadTarget::Long)
        );
    }
}
