//! Writing a table: a page of rows at a time, as fast as they are taken.
//!
//! Invariant: a page is read only when the one before it was sent. What breaks on the way breaks the connection, so
//! that half a table is never taken for a whole one.
//! Not here: which rows, and in what order.

use super::{Layout, MEDIA};
use crate::face::params::Params;
use crate::face::problem::Problem;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::Value;
use std::future::Future;

/// Rows read at a time.
pub const PAGE_ROWS: i64 = 500;
/// What spreadsheets want before UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Rows, a page at a time.
pub trait Pages: Send + 'static {
    /// Their columns.
    const LAYOUT: &'static Layout;

    /// The next page; an empty one is the end.
    fn next(&mut self) -> impl Future<Output = Result<Vec<Value>, Problem>> + Send;
}

/// The answer that is a table. Its first page is read before the answer begins, so that a refusal is one.
pub async fn answer<P: Pages>(mut pages: P, params: &Params) -> Result<Response, Problem> {
    let mark = if params.flag("bom")? == Some(true) { BYTE_ORDER_MARK } else { "" };
    let first = pages.next().await?;
    let head = format!("{mark}{}", P::LAYOUT.head());
    let mut response = Response::new(Body::from_stream(lines(pages, head, first)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=0"));
    let name = format!("attachment; filename=\"{}.csv\"", P::LAYOUT.what);
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    debug_assert!(headers[CONTENT_TYPE].as_bytes().starts_with(MEDIA.as_bytes()));
    Ok(response)
}

fn lines<P: Pages>(
    mut pages: P,
    head: String,
    mut page: Vec<Value>,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    async_stream::try_stream! {
        yield Bytes::from(head);
        while !page.is_empty() {
            yield page.iter().map(|row| P::LAYOUT.row(row)).collect::<String>().into();
            page = pages.next().await.map_err(|problem| Broken(problem.message().to_owned()))?;
        }
    }
}

/// The table could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("a table broke off: {0}")]
struct Broken(String);

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;
    use futures::StreamExt as _;
    use openevent_domain::planning::sheet::Kind;
    use serde_json::json;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    const LAYOUT: Layout =
        Layout { what: "things", columns: &[Column::new("name", Kind::Text)], shown: &[], key: &["name"] };

    /// So many rows, and how many of them were read.
    struct Counted {
        left: i64,
        read: Arc<AtomicI64>,
    }

    impl Pages for Counted {
        const LAYOUT: &'static Layout = &LAYOUT;

        async fn next(&mut self) -> Result<Vec<Value>, Problem> {
            let rows = self.left.min(PAGE_ROWS);
            self.left -= rows;
            self.read.fetch_add(rows, Ordering::SeqCst);
            Ok((0..rows).map(|n| json!({"id": n.to_string(), "name": "x"})).collect())
        }
    }

    #[tokio::test]
    async fn a_hundred_thousand_rows_are_read_no_faster_than_they_are_taken() {
        const ROWS: i64 = 100_000;
        let read = Arc::<AtomicI64>::default();
        let pages = Counted { left: ROWS, read: Arc::clone(&read) };
        let response = answer(pages, &Params::of("")).await.unwrap();
        let mut stream = response.into_body().into_data_stream();
        let mut taken = 0;

        while let Some(bytes) = stream.next().await {
            let bytes = bytes.unwrap();
            assert!(read.load(Ordering::SeqCst) - taken <= PAGE_ROWS + 1, "at most one page is ahead");
            taken += bytes.split(|byte| *byte == b'\n').count() as i64 - 1;
        }

        assert_eq!(taken, ROWS + 1, "and the first line");
    }
}
