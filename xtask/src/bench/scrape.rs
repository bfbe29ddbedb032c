//! Single blocking GETs, for what is read between measurements: metrics and run counts.
//!
//! Invariant: one connection per call, closed by the server, bounded in time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::wire::{self, Credential};

const PATIENCE: Duration = Duration::from_secs(30);

/// An answer as text.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) fn get(addr: SocketAddr, path: &str, credential: &Credential) -> Result<Answer> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&wire::get(addr, path, credential))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("GET {path}"))?;
    parse(&String::from_utf8_lossy(&bytes)).with_context(|| format!("GET {path} was not answered in HTTP"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { join_chunks(body)? } else { body.to_owned() };
    Some(Answer { status, body })
}

fn join_chunks(mut text: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = text.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        text = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// The sum of all samples of a metric in the Prometheus text format; `None` when there is none.
pub(crate) fn sum(text: &str, name: &str) -> Option<f64> {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None if rest.starts_with(' ') => rest,
            None => return None,
        };
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    samples.fold(None, |sum, sample| Some(sum.unwrap_or(0.0) + sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_all_labels_are_added() {
        let text = "# TYPE runs counter\nruns{status=\"a}b\"} 3\nruns{status=\"c\"} 4 1700000000\nruns_other 9\nup 1";
        assert_eq!(sum(text, "runs"), Some(7.0));
        assert_eq!(sum(text, "up"), Some(1.0));
        assert_eq!(sum(text, "missing"), None);
    }

    #[test]
    fn a_chunked_answer_is_joined() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        let answer = parse(text).expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "abcde"));
    }
}
