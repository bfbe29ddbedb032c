//! What the operator decides about the server face.
//!
//! Invariant: read and checked once, before the first connection.
//! Not here: files, environment and flags; the binary reads those.

use http::HeaderName;
use openevent_domain::api_key;
use openevent_domain::rate::DEFAULT_PER_HOUR;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// The largest table, unless the operator says otherwise.
const IMPORT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The settings of the server face.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's static token. Unset or empty: `dev-token`, in development only.
    pub static_token: Option<SecretString>,
    /// Whether we listen on loopback only.
    pub development: bool,
    /// Calls a minute the static token may make; `None` is unlimited.
    pub static_rate_per_minute: Option<u32>,
    /// Calls an hour an address may make without a credential.
    pub address_rate_per_hour: u32,
    /// Applications an hour an address may send without a credential.
    pub public_intake_per_hour: u32,
    /// The header in which a proxy of ours writes the client's address. `None`: the connection's address.
    pub client_address_header: Option<HeaderName>,
    /// Where others reach this server, such as `https://events.example.org`. `None`: whatever `Host` says.
    pub public_url: Option<String>,
    /// The file of the keys that secrets of webhooks are sealed under. `None`: none can be made.
    pub key_file: Option<PathBuf>,
    /// How long a session lasts that nobody uses, in milliseconds.
    pub session_idle_ms_max: i64,
    /// How long a session lasts at most, in milliseconds.
    pub session_ms_max: i64,
    /// Whether `POST /bench/ack` is there.
    pub bench: bool,
    /// The largest table that is imported, in bytes.
    pub import_bytes_max: u64,
    /// How long the head of a request may take, and how long a connection may be kept without one, in milliseconds.
    pub head_ms_max: u64,
    /// How long open exchanges may take to end after we were asked to stop, in milliseconds.
    pub drain_ms_max: u64,
}

const DAY_MS: i64 = 86_400_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            static_token: None,
            development: false,
            static_rate_per_minute: None,
            address_rate_per_hour: DEFAULT_PER_HOUR,
            public_intake_per_hour: 10,
            client_address_header: None,
            public_url: None,
            key_file: None,
            session_idle_ms_max: 7 * DAY_MS,
            session_ms_max: 30 * DAY_MS,
            bench: false,
            import_bytes_max: IMPORT_BYTES_MAX,
            // Longer than the clients we know of keep connections in their pools.
            head_ms_max: 100_000,
            drain_ms_max: 10_000,
        }
    }
}

/// Settings nobody can serve with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSettings {
    /// A static token that looks like an API key would never be compared.
    #[error("the static token must not begin with `oe_`: that prefix is for API keys")]
    TokenLooksLikeKey,
    /// A token that no header can carry.
    #[error("the static token may hold visible ASCII characters only")]
    TokenUnprintable,
}

impl Settings {
    /// Whether cookies may travel without encryption: on this machine only, without an https address in front.
    pub fn is_plain(&self) -> bool {
        self.development && !self.public_url.as_ref().is_some_and(|url| url.starts_with("https:"))
    }

    /// Checks what the types cannot.
    pub fn check(&self) -> Result<(), BadSettings> {
        let token = self.static_token.as_ref().map_or("", |token| token.expose_secret());
        if token.starts_with(api_key::PREFIX) {
            return Err(BadSettings::TokenLooksLikeKey);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadSettings::TokenUnprintable);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_token_like_a_key_is_refused() {
        let with = |token: &str| Settings { static_token: Some(token.into()), ..Settings::default() };
        assert_eq!(with("oe_live_x").check(), Err(BadSettings::TokenLooksLikeKey));
        assert_eq!(with("two words").check(), Err(BadSettings::TokenUnprintable));
        assert_eq!(with("s3cret").check(), Ok(()));
        assert_eq!(with("").check(), Ok(()));
    }
}
