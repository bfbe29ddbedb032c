-- Vendors and sponsors of the whole instance. `profile` is the entry's own form; the columns beside it are what lists
-- filter and sort by, derived from it.
CREATE TABLE directory (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    side TEXT NOT NULL CHECK (side IN ('vendor', 'sponsor')),
    review TEXT NOT NULL CHECK (review IN ('pending', 'approved', 'rejected')),
    reviewed_at BIGINT,
    reason TEXT,
    profile TEXT NOT NULL,
    sort_word TEXT NOT NULL,
    group_key TEXT NOT NULL,
    search_title TEXT NOT NULL,
    search_text TEXT NOT NULL,
    facets TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX directory_by_creation ON directory (side, created_at, id);
CREATE INDEX directory_by_review ON directory (side, review, created_at, id);
CREATE INDEX directory_by_group ON directory (side, review, group_key, created_at, id);
CREATE INDEX directory_groups ON directory (side, review, sort_word);

-- As with `events_search`.
CREATE VIRTUAL TABLE directory_search USING fts5 (
    search_title, search_text, facets,
    content = 'directory', content_rowid = 'seq', tokenize = 'ascii', prefix = '2 3 4 5 6 9'
);
CREATE TRIGGER directory_search_added AFTER INSERT ON directory BEGIN
    INSERT INTO directory_search (rowid, search_title, search_text, facets)
    VALUES (new.seq, new.search_title, new.search_text, new.facets);
END;
CREATE TRIGGER directory_search_removed AFTER DELETE ON directory BEGIN
    INSERT INTO directory_search (directory_search, rowid, search_title, search_text, facets)
    VALUES ('delete', old.seq, old.search_title, old.search_text, old.facets);
END;
CREATE TRIGGER directory_search_changed AFTER UPDATE ON directory
WHEN old.search_title <> new.search_title OR old.search_text <> new.search_text OR old.facets <> new.facets BEGIN
    INSERT INTO directory_search (directory_search, rowid, search_title, search_text, facets)
    VALUES ('delete', old.seq, old.search_title, old.search_text, old.facets);
    INSERT INTO directory_search (rowid, search_title, search_text, facets)
    VALUES (new.seq, new.search_title, new.search_text, new.facets);
END;
