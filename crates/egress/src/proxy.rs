//! The operator's proxy: every connection is a tunnel of its own (`CONNECT`), for http and https alike.
//!
//! Invariant: the proxy is asked for an address that the policy has admitted, never for a name, so that what may be called
//! does not hang on the proxy's name server. Its credentials are in the request to it and nowhere else.
//! Not here: who is reached without it (`no_proxy.rs`); checking addresses (`connect.rs`). The proxy's own address is the
//! operator's and is not checked. hyper-util's tunnel is not used: it does not tell what the proxy answered.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::{Host, Url};

use crate::{no_proxy::NoProxy, resolve::Resolve};

/// Bytes of the head of a proxy's answer.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// An HTTP proxy. Its text and debug forms show no credentials.
#[derive(Clone)]
pub struct Proxy {
    host: Host<String>,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
    except: NoProxy,
}

/// Why a text is no proxy. It is not repeated, since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not like http://proxy.example.org:3128 or http://user:password@proxy.example.org:3128")]
pub struct InvalidProxy;

/// What kept a proxy from opening a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyFault {
    /// It was not there.
    Unreachable,
    /// It wants credentials, or others (407).
    Credentials,
    /// It answered something else than success, such as 403 or 502.
    Refused(u16),
    /// It broke off, or speaks no HTTP.
    Nonsense,
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyFault::Unreachable => f.write_str("cannot be reached"),
            ProxyFault::Credentials => f.write_str("does not accept this server's credentials (407)"),
            ProxyFault::Refused(status) => write!(f, "refused the connection ({status})"),
            ProxyFault::Nonsense => f.write_str("gave no valid answer"),
        }
    }
}

/// A tunnel that was not opened, with the cause as far as there is one.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub(crate) struct Failed {
    pub(crate) fault: ProxyFault,
    #[source]
    cause: Option<io::Error>,
}

impl Failed {
    fn by(fault: ProxyFault) -> impl Fn(io::Error) -> Self {
        move |cause| Self { fault, cause: Some(cause) }
    }

    /// Whether another address of the same host would fare no better.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.fault, ProxyFault::Unreachable | ProxyFault::Credentials)
    }
}

impl Proxy {
    /// Reads `http://user:password@host:port`; user and password are percent-decoded, the port is 80 if absent.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let url = Url::parse(text).map_err(|_| InvalidProxy)?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        match (url.scheme(), url.host()) {
            ("http", Some(host)) if is_bare => Ok(Self {
                host: host.to_owned(),
                port: url.port().unwrap_or(80),
                authorization: authorization(&url),
                except: NoProxy::default(),
            }),
            _ => Err(InvalidProxy),
        }
    }

    /// The same for all but those.
    #[must_use]
    pub fn except(self, except: NoProxy) -> Self {
        Self { except, ..self }
    }

    /// Whether connections to `ip`, looked up for `host`, go through it. This machine's own loopback would be the proxy's
    /// there, and never does.
    pub(crate) fn carries(&self, host: &str, ip: IpAddr) -> bool {
        !ip.to_canonical().is_loopback() && !self.except.names(host, ip)
    }

    /// Opens a connection to `address` through the proxy.
    pub(crate) async fn tunnel(
        &self,
        address: SocketAddr,
        resolver: &dyn Resolve,
    ) -> Result<TcpStream, Failed> {
        let mut stream = self.reach(resolver).await.map_err(Failed::by(ProxyFault::Unreachable))?;
        let asked = stream.write_all(self.request(address).as_bytes()).await;
        asked.map_err(Failed::by(ProxyFault::Nonsense))?;
        let refused = |fault| Err(Failed { fault, cause: None });
        match status(&mut stream).await.map_err(Failed::by(ProxyFault::Nonsense))? {
            200..=299 => Ok(stream),
            407 => refused(ProxyFault::Credentials),
            other => refused(ProxyFault::Refused(other)),
        }
    }

    async fn reach(&self, resolver: &dyn Resolve) -> io::Result<TcpStream> {
        let ips = match &self.host {
            Host::Domain(name) => resolver.resolve(name).await?,
            Host::Ipv4(ip) => vec![(*ip).into()],
            Host::Ipv6(ip) => vec![(*ip).into()],
        };
        let addresses: Vec<SocketAddr> = ips.into_iter().map(|ip| (ip, self.port).into()).collect();
        TcpStream::connect(&addresses[..]).await
    }

    fn request(&self, address: SocketAddr) -> String {
        let authorization = self.authorization.as_ref();
        let authorization = authorization.map(|value| format!("Proxy-Authorization: {value}\r\n"));
        let authorization = authorization.unwrap_or_default();
        format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.authorization.is_some() { "***@" } else { "" };
        write!(f, "http://{hidden}{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self} except {})", self.except)
    }
}

fn authorization(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(format!("Basic {}", STANDARD.encode(pair)))
}

/// The status of the proxy's answer. Bytes behind the head of a success would be swallowed: whoever is at the other end
/// speaks second, so there are none.
async fn status(stream: &mut TcpStream) -> io::Result<u16> {
    const END: &[u8] = b"\r\n\r\n";
    let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
    let mut head = vec![0; HEAD_BYTES_MAX];
    let mut filled = 0;
    let end = loop {
        let count = stream.read(&mut head[filled..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        if let Some(at) = head[..filled].windows(END.len()).position(|window| window == END) {
            break at + END.len();
        }
    };
    let status = status_of(&head[..end]).ok_or_else(nonsense)?;
    if (200..300).contains(&status) && end < filled { Err(nonsense()) } else { Ok(status) }
}

/// `HTTP/1.1 200 …`
fn status_of(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.get(.."HTTP/1.1 200".len())?).ok()?;
    let (version, status) = line.split_once(' ')?;
    let is_number = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && matches!(version, "HTTP/1.1" | "HTTP/1.0")).then(|| status.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_exempt_is_reached_directly() {
        let list = "direct.test, .below.test *.star.test 198.51.100.0/24,203.0.113.9";
        let except = NoProxy::parse(list).unwrap();
        let proxy = Proxy::parse("http://proxy.test").unwrap().except(except);

        for (host, ip, is_direct) in [
            ("other.test", "203.0.113.7", false),
            ("direct.test", "203.0.113.7", true),
            ("direct.test.", "203.0.113.7", true),
            ("a.direct.test", "203.0.113.7", true),
            ("indirect.test", "203.0.113.7", false),
            ("below.test", "203.0.113.7", false),
            ("a.b.below.test", "203.0.113.7", true),
            ("a.star.test", "203.0.113.7", true),
            ("other.test", "198.51.100.1", true),
            ("other.test", "::ffff:198.51.100.1", true),
            ("203.0.113.9", "203.0.113.9", true),
            ("localhost", "127.0.0.1", true),
            ("[::1]", "::1", true),
            ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1", true),
        ] {
            assert_eq!(proxy.carries(host, ip.parse().unwrap()), !is_direct, "{host} {ip}");
        }
    }
}
