//! Reads an answer's body up to a cap.
//!
//! Invariant: never more than the cap plus one read buffer is held, whatever `Content-Length` claims.
//! Not here: the deadline (`exchange.rs`) and decompression.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::{error::Error, message::OverLimit};

/// How much of a body is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cap {
    pub(crate) bytes_max: usize,
    pub(crate) over_limit: OverLimit,
}

/// The body, and whether it was cut at the cap.
pub(crate) async fn read(mut body: Incoming, cap: Cap) -> Result<(Bytes, bool), Error> {
    let announced = body.size_hint().lower();
    if cap.over_limit == OverLimit::Fail && announced > cap.bytes_max as u64 {
        return Err(Error::BodyTooLarge { bytes_max: cap.bytes_max });
    }
    // Most answers are one frame, which needs no copy.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::broken(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        let held = first.len() + whole.len();
        let room = cap.bytes_max - held;
        if data.len() > room {
            return cut(first, whole, &data[..room], cap);
        }
        if held == 0 {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok((if whole.is_empty() { first } else { whole.freeze() }, false))
}

fn cut(first: Bytes, mut whole: BytesMut, last: &[u8], cap: Cap) -> Result<(Bytes, bool), Error> {
    match cap.over_limit {
        OverLimit::Fail => Err(Error::BodyTooLarge { bytes_max: cap.bytes_max }),
        OverLimit::Truncate => {
            // Copied, so that a kilobyte kept for the log does not pin a read buffer.
            whole.extend_from_slice(&first);
            whole.extend_from_slice(last);
            Ok((whole.freeze(), true))
        }
    }
}
