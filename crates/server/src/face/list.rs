//! Lists: pages by number or by cursor, and choosing fields.
//!
//! Invariant: `page` and `limit` never refuse; they fall back and clamp. A cursor we did not write is refused.
//! Not here: SQL, and which orders a list offers.

use super::params::Params;
use super::problem::Problem;
use super::reply::Reply;
use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Rows of a page, unless asked for otherwise.
pub const LIMIT_DEFAULT: i64 = 20;
/// Rows of a page at most.
pub const LIMIT_MAX: i64 = 100;
/// The last page that is looked for; those beyond are empty like it.
const PAGE_MAX: i64 = 1_000_000_000;

/// What was asked of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Page number, from 1.
    pub page: i64,
    /// Rows of a page, 1..=100.
    pub limit: i64,
    /// The other parameters.
    pub params: Params,
    cursor: Option<String>,
}

/// What a list says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    /// Rows in the whole list.
    pub total: i64,
    /// This page, from 1.
    pub page: i64,
    /// Rows of a page.
    pub limit: i64,
    /// Pages of the whole list.
    pub total_pages: i64,
    /// Whether there is more after this page.
    pub has_more: bool,
    /// Where the next page begins, however many rows are added meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl List {
    /// Reads the parameters.
    pub fn of(params: Params) -> Self {
        let number = |name: &str| params.get(name).and_then(|text| text.parse::<i64>().ok());
        let page = number("page").unwrap_or(1).clamp(1, PAGE_MAX);
        let limit = number("limit").unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let cursor = params.get("cursor").map(str::to_owned);
        Self { page, limit, params, cursor }
    }

    /// Rows before this page.
    pub fn offset(&self) -> i64 {
        (self.page - 1) * self.limit
    }

    /// The place a cursor names, as [`cursor`] wrote it.
    pub fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let place = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
        place.map(Some).ok_or_else(|| Problem::field("cursor", "is not one this list gave out"))
    }

    /// The total of a list that was counted `total` a moment ago: its last page knows better.
    pub fn total(&self, total: i64, rows: usize, has_more: bool) -> i64 {
        let is_known = self.cursor.is_none() && !has_more && (rows > 0 || self.page == 1);
        if is_known { self.offset() + rows as i64 } else { total }
    }

    /// Takes off the one row too many that a page is read with, and says what the page says about itself.
    pub fn cut<T>(&self, rows: &mut Vec<T>, total: i64, cursor: impl Fn(&T) -> String) -> ListMeta {
        let has_more = rows.len() as i64 > self.limit;
        rows.truncate(self.limit as usize);
        let next = rows.last().filter(|_| has_more).map(cursor);
        self.meta(total, has_more, next)
    }

    /// The meta of this page.
    pub fn meta(&self, total: i64, has_more: bool, next_cursor: Option<String>) -> ListMeta {
        let total_pages = (total + self.limit - 1) / self.limit;
        let (page, limit) = (self.page, self.limit);
        ListMeta { total, page, limit, total_pages, has_more, next_cursor }
    }

    /// The answer: rows of this page, cut down to `fields` when asked for.
    pub fn reply<T: Serialize>(&self, rows: &[T], meta: &ListMeta) -> Reply {
        let meta = serde_json::to_value(meta).unwrap_or_default();
        let Some(fields) = self.params.get("fields") else { return Reply::ok_with_meta(&rows, &meta) };
        let wanted: Vec<&str> = fields.split(',').map(str::trim).collect();
        let mut rows = serde_json::to_value(rows).unwrap_or_default();
        for row in rows.as_array_mut().into_iter().flatten() {
            project(row, &wanted);
        }
        Reply::ok_with_meta(&rows, &meta)
    }

    /// A page of rows that are all in memory, in ascending order of `key`.
    pub fn slice<T, K>(&self, all: &[T], key: impl Fn(&T) -> K) -> Result<Reply, Problem>
    where
        T: Serialize,
        K: Serialize + DeserializeOwned + Ord,
    {
        let start = match self.after::<K>()? {
            Some(last) => all.partition_point(|row| key(row) <= last),
            None => usize::try_from(self.offset()).unwrap_or(usize::MAX).min(all.len()),
        };
        let end = start.saturating_add(self.limit as usize).min(all.len());
        let has_more = end < all.len();
        let next = all[start..end].last().filter(|_| has_more).map(|row| cursor(&key(row)));
        Ok(self.reply(&all[start..end], &self.meta(all.len() as i64, has_more, next)))
    }
}

/// Writes a cursor that names a place.
pub fn cursor(place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// Keeps an object's id and the wanted members.
fn project(row: &mut Value, wanted: &[&str]) {
    if let Some(row) = row.as_object_mut() {
        row.retain(|name, _| matches!(name.as_str(), "id" | "_id") || wanted.contains(&name.as_str()));
    }
}

impl<S: Sync> FromRequestParts<S> for List {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self::of(Params::of(parts.uri.query().unwrap_or(""))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(query: &str) -> List {
        List::of(Params::of(query))
    }

    #[test]
    fn pages_fall_back_and_clamp() {
        for (query, page, limit) in [
            ("", 1, 20),
            ("page=0&limit=0", 1, 1),
            ("page=-3&limit=1000", 1, 100),
            ("page=x&limit=y", 1, 20),
            ("page=99999999999999999999&limit=", 1, 20),
            ("page=7&limit=5", 7, 5),
        ] {
            assert_eq!((list(query).page, list(query).limit), (page, limit), "{query}");
        }
    }

    #[test]
    fn a_far_page_is_empty() {
        let reply = list("page=50&limit=2").slice(&[1, 2, 3], |row| *row).unwrap();
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["data"], json!([]));
        assert_eq!(
            body["meta"],
            json!({"total": 3, "page": 50, "limit": 2, "totalPages": 2, "hasMore": false})
        );
    }

    #[test]
    fn the_last_page_knows_the_total() {
        for (query, rows, has_more, total) in [
            ("page=3&limit=2", 1, false, 5),
            ("page=3&limit=2", 2, true, 9),
            ("page=9&limit=2", 0, false, 9),
            ("", 0, false, 0),
            ("cursor=x", 1, false, 9),
        ] {
            assert_eq!(list(query).total(9, rows, has_more), total, "{query}");
        }
    }

    #[test]
    fn a_cursor_reads_back_and_a_made_up_one_is_refused() {
        let query = format!("cursor={}", cursor(&(17, "x")));
        assert_eq!(list(&query).after::<(i64, String)>().unwrap(), Some((17, "x".to_owned())));
        assert_eq!(list("").after::<(i64, String)>().unwrap(), None);
        for query in ["cursor=%00", "cursor=bm8", "cursor=e30"] {
            assert!(list(query).after::<(i64, String)>().is_err(), "{query}");
        }
    }

    #[test]
    fn a_cursor_in_memory_goes_on_after_its_row_whatever_was_added_before_it() {
        let page = |query: &str, rows: &[i64]| -> Value {
            serde_json::from_slice(&list(query).slice(rows, |row| *row).unwrap().body).unwrap()
        };
        let first = page("limit=2", &[10, 20, 30]);
        let next = first["meta"]["nextCursor"].as_str().unwrap();
        let rest = page(&format!("limit=2&cursor={next}"), &[5, 10, 15, 30]);
        assert_eq!((&first["data"], &rest["data"]), (&json!([10, 20]), &json!([30])));
        assert_eq!(rest["meta"].get("nextCursor"), None);
    }

    #[test]
    fn fields_keep_the_id() {
        let row = json!({"id": 1, "a": 2, "b": 3});
        let reply = list("fields=b").slice(&[row], |row| row["id"].as_i64()).unwrap();
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["data"], json!([{"id": 1, "b": 3}]));
    }
}
