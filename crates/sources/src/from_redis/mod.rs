//! Redis: which channels and streams of which server, and the way to it.
//!
//! Invariant: no call waits longer than [`PATIENCE`] for an answer; printing a source shows no password.
//! Not here: reading channels (`channels`) and streams (`streams`).

mod channels;
mod streams;

use crate::desk::Desk;
use crate::error::Error;
use crate::naming::Naming;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use std::fmt;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The consumer group, unless another is configured.
pub const GROUP: &str = "openevent";
/// The longest wait for an answer, before the server counts as away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Codes of answers about users and passwords that the library does not sort out itself.
const CREDENTIALS: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];

/// A Redis server, and what is read there.
#[derive(Clone)]
pub struct RedisSource {
    client: Client,
    channels: Vec<String>,
    patterns: Vec<String>,
    streams: Vec<String>,
    group: String,
    naming: Naming,
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadRedis {
    /// The address. Its text is not repeated: it may hold a password.
    #[error("it is not like redis://127.0.0.1:6379/0 (rediss:// with TLS)")]
    Url,
    /// Nothing to read.
    #[error("it names neither channels nor streams")]
    Nothing,
}

impl RedisSource {
    /// Reads an address. Channels with a `*` in them are patterns.
    pub fn new(
        url: &str,
        channels: Vec<String>,
        streams: Vec<String>,
        group: String,
        naming: Naming,
    ) -> Result<Self, BadRedis> {
        if channels.is_empty() && streams.is_empty() {
            return Err(BadRedis::Nothing);
        }
        let client = Client::open(url).map_err(|_| BadRedis::Url)?;
        let (patterns, channels) = channels.into_iter().partition(|channel| channel.contains('*'));
        Ok(Self { client, channels, patterns, streams, group, naming })
    }

    /// Whether the server lets us in.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let mut connection = self.connect().await?;
        redis::cmd("PING").exec_async(&mut connection).await.map_err(error)
    }

    /// Reads channels and streams until `round` is cancelled; when one of the two fails, both end.
    pub(crate) async fn read(&self, desk: &Desk, round: &CancellationToken) -> Result<(), Error> {
        let hearing = async {
            let end = if self.has_channels() { channels::hear(self, desk, round).await } else { Ok(()) };
            end.inspect_err(|_| round.cancel())
        };
        let consuming = async {
            let end =
                if self.streams.is_empty() { Ok(()) } else { streams::consume(self, desk, round).await };
            end.inspect_err(|_| round.cancel())
        };
        let (heard, consumed) = tokio::join!(hearing, consuming);
        heard.and(consumed)
    }

    fn has_channels(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    /// Opens a connection for commands.
    async fn connect(&self) -> Result<MultiplexedConnection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(error)
    }
}

/// Waits for an answer no longer than is right.
async fn in_time<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, Error> {
    let answered = tokio::time::timeout(PATIENCE, answer).await;
    answered.map_err(|elapsed| Error::Unreachable(elapsed.into()))?.map_err(error)
}

/// Sorts the library's errors by who has to do something.
fn error(cause: RedisError) -> Error {
    let is_about_credentials = cause.kind() == redis::ErrorKind::AuthenticationFailed
        || cause.code().is_some_and(|code| CREDENTIALS.contains(&code));
    if is_about_credentials {
        Error::Credentials(cause.into())
    } else if cause.is_io_error() || cause.is_timeout() || cause.is_connection_dropped() {
        Error::Unreachable(cause.into())
    } else {
        Error::Refused(cause.into())
    }
}

impl fmt::Display for RedisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis at {}", self.client.get_connection_info().addr())?;
        let channels: Vec<&str> = self.channels.iter().chain(&self.patterns).map(String::as_str).collect();
        if !channels.is_empty() {
            write!(f, ", channels {}", channels.join(" "))?;
        }
        if !self.streams.is_empty() {
            write!(f, ", streams {} (group {})", self.streams.join(" "), self.group)?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisSource({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str, channels: &[&str]) -> Result<RedisSource, BadRedis> {
        let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
        RedisSource::new(url, channels, Vec::new(), GROUP.to_owned(), Naming::queue())
    }

    #[test]
    fn printing_a_source_shows_no_password() {
        let source = source("redis://me:hush@127.0.0.1:7/3", &["a", "b.*"]).unwrap();
        assert_eq!(source.to_string(), "redis at 127.0.0.1:7, channels a b.*");
        assert!(!format!("{source:?}").contains("hush"));
    }

    #[test]
    fn a_bad_address_is_refused_without_being_repeated() {
        let refused = source("http://me:hush@127.0.0.1", &["a"]).unwrap_err();
        assert!(matches!(refused, BadRedis::Url) && !refused.to_string().contains("hush"));
        assert!(matches!(source("redis://127.0.0.1", &[]), Err(BadRedis::Nothing)));
    }
}
