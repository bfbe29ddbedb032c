//! The segments of the search indexes on SQLite, merged in bites.
//!
//! Invariant: a bite is one short write, so nobody waits long behind it; what is found stays the same. On PostgreSQL
//! there is nothing to do.
//! Not here: when to do it.

use crate::sql::{Dialect, Select, Sql};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};

/// More segments than this are worth a merge: a search opens each of them.
pub const SEGMENTS_MAX: i64 = 8;

/// A search index: how many segments it has, one probe each, and what merges some pages of them. The tables are there
/// on SQLite only.
struct Index {
    segments: &'static str,
    merge: Sql,
}

static INDEXES: [Index; 2] = [
    Index {
        segments: "WITH RECURSIVE seen (segid) AS (SELECT MIN(segid) FROM events_search_idx UNION ALL \
                   SELECT (SELECT MIN(i.segid) FROM events_search_idx i WHERE i.segid > seen.segid) FROM seen \
                   WHERE seen.segid IS NOT NULL) SELECT COUNT(segid) FROM seen",
        merge: Sql::same("INSERT INTO events_search (events_search, rank) VALUES ('merge', -512)"),
    },
    Index {
        segments: "WITH RECURSIVE seen (segid) AS (SELECT MIN(segid) FROM directory_search_idx UNION ALL \
                   SELECT (SELECT MIN(i.segid) FROM directory_search_idx i WHERE i.segid > seen.segid) FROM seen \
                   WHERE seen.segid IS NOT NULL) SELECT COUNT(segid) FROM seen",
        merge: Sql::same("INSERT INTO directory_search (directory_search, rank) VALUES ('merge', -512)"),
    },
];

impl Store {
    /// The most segments a search index has.
    pub async fn search_segments(&self) -> Result<i64, Error> {
        let mut most = 0;
        if self.dialect() == Dialect::Sqlite {
            for index in &INDEXES {
                most = most.max(self.segments(index).await?);
            }
        }
        Ok(most)
    }

    /// Merges one bite of the search indexes' segments. Answers whether there may be more.
    pub async fn merge_search(&self) -> Result<bool, Error> {
        if self.dialect() == Dialect::Postgres {
            return Ok(false);
        }
        let mut set = WriteSet::new();
        for index in &INDEXES {
            if self.segments(index).await? > 1 {
                set.write(&index.merge, [], Expect::Any);
            }
        }
        let has_more = !set.is_empty();
        self.submit(set).await.map(|()| has_more)
    }

    async fn segments(&self, index: &Index) -> Result<i64, Error> {
        self.row(Select::new(index.segments, [])).await?.map_or(Ok(0), |mut row| row.int())
    }
}
