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
    search_name TEXT NOT NULL,
    search_rest TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX directory_by_creation ON directory (side, created_at, id);
CREATE INDEX directory_by_review ON directory (side, review, created_at, id);
CREATE INDEX directory_by_group ON directory (side, review, group_key, created_at, id);
CREATE INDEX directory_groups ON directory (side, review, sort_word);

-- The texts are tokens already (see the domain's `planning::search`): the index only has to cut at spaces.
CREATE VIRTUAL TABLE directory_search USING fts5 (
    search_name, search_rest, content = 'directory', content_rowid = 'seq', tokenize = 'ascii', prefix = '3 4'
);
CREATE TRIGGER directory_search_added AFTER INSERT ON directory BEGIN
    INSERT INTO directory_search (rowid, search_name, search_rest)
    VALUES (new.seq, new.search_name, new.search_rest);
END;
CREATE TRIGGER directory_search_removed AFTER DELETE ON directory BEGIN
    INSERT INTO directory_search (directory_search, rowid, search_name, search_rest)
    VALUES ('delete', old.seq, old.search_name, old.search_rest);
END;
CREATE TRIGGER directory_search_changed AFTER UPDATE ON directory
WHEN old.search_name <> new.search_name OR old.search_rest <> new.search_rest BEGIN
    INSERT INTO directory_search (directory_search, rowid, search_name, search_rest)
    VALUES ('delete', old.seq, old.search_name, old.search_rest);
    INSERT INTO directory_search (rowid, search_name, search_rest)
    VALUES (new.seq, new.search_name, new.search_rest);
END;

CREATE INDEX events_listed_by_creation ON events (created_at, id) WHERE listed = 1;
