//! The little HTTP/1.1 that the load generator and the receiver speak: one request or answer at a time.
//!
//! Invariant: a message is measured from its bytes alone, without allocation.
//! Deliberately not here: chunked bodies, pipelining, anything a benchmark of our own server never meets.

use std::net::SocketAddr;

/// The head of one message: where its body ends, and the status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// 0 for a request.
    pub(crate) status: u16,
    /// Bytes of head and body together.
    pub(crate) total_bytes: usize,
}

/// What cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Chunked,
    Malformed,
}

/// Reads a head if all of it is there.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, Unreadable> {
    let Some(end) = head_end(bytes) else { return Ok(None) };
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let status = match first.strip_prefix(b"HTTP/1.") {
        Some(rest) => number(rest.get(2..5).unwrap_or_default()).ok_or(Unreadable::Malformed)? as u16,
        None => 0,
    };
    let mut body_bytes = 0;
    for line in lines {
        if let Some(value) = value_of(line, b"content-length:") {
            body_bytes = number(value.trim_ascii()).ok_or(Unreadable::Malformed)?;
        } else if value_of(line, b"transfer-encoding:").is_some() {
            return Err(Unreadable::Chunked);
        }
    }
    Ok(Some(Head { status, total_bytes: end + body_bytes }))
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let next = from + at + 1;
        if bytes[next..].starts_with(b"\r\n") {
            return Some(next + 2);
        }
        from = next;
    }
    None
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = line.get(..name.len())?;
    start.eq_ignore_ascii_case(name).then(|| &line[name.len()..])
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// An API key, in `X-API-Key`.
    Key(String),
    /// The static token of a development server.
    DevToken,
}

/// One request, ready for the socket.
pub(crate) fn post(addr: SocketAddr, path: &str, credential: &Credential, body: &str) -> Vec<u8> {
    let (credential, length) = (header(credential), body.len());
    format!(
        "POST {path} HTTP/1.1\r\nhost: {addr}\r\n{credential}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// One GET on a connection that stays open.
pub(crate) fn ask(addr: SocketAddr, path: &str, credential: &Credential) -> Vec<u8> {
    let credential = header(credential);
    format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n{credential}\r\n\r\n").into_bytes()
}

/// One GET that asks the server to close afterwards.
pub(crate) fn get(addr: SocketAddr, path: &str, credential: &Credential) -> Vec<u8> {
    let credential = header(credential);
    format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n{credential}\r\nconnection: close\r\n\r\n").into_bytes()
}

fn header(credential: &Credential) -> String {
    match credential {
        Credential::Key(key) => format!("x-api-key: {key}"),
        Credential::DevToken => "authorization: Bearer dev-token".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_once_its_head_is_whole() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\nx: y\r\n\r\nhello";
        for cut in 0..answer.len() - 5 {
            assert_eq!(head(&answer[..cut]), Ok(None), "{cut}");
        }
        let whole = Head { status: 202, total_bytes: answer.len() };
        assert_eq!(head(&answer[..answer.len() - 5]), Ok(Some(whole)));
    }

    #[test]
    fn a_request_has_no_status() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 80));
        let request = post(addr, "/x", &Credential::DevToken, "{}");
        assert_eq!(head(&request), Ok(Some(Head { status: 0, total_bytes: request.len() })));
    }

    #[test]
    fn chunked_and_broken_heads_are_told_apart() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(Unreadable::Chunked));
        assert_eq!(head(b"HTTP/1.1 2x0 OK\r\n\r\n"), Err(Unreadable::Malformed));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), Err(Unreadable::Malformed));
    }
}
