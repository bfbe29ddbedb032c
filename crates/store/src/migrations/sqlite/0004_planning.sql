-- `plan` is the event's own form; the columns beside it are what lists filter and sort by, derived from it.
-- `touched` moves with every change of what hangs on an event, so that a deletion can be guarded.
-- `listed`: the public sees it (public, planning or active, live).
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    plan TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'planning', 'active', 'completed', 'cancelled')),
    status_at BIGINT,
    status_from TEXT,
    starts_at BIGINT NOT NULL,
    event_type TEXT,
    location_type TEXT,
    is_public BIGINT NOT NULL CHECK (is_public IN (0, 1)),
    seeking_vendors BIGINT NOT NULL CHECK (seeking_vendors IN (0, 1)),
    seeking_sponsors BIGINT NOT NULL CHECK (seeking_sponsors IN (0, 1)),
    listed BIGINT NOT NULL CHECK (listed IN (0, 1)),
    title_key TEXT NOT NULL,
    search_title TEXT NOT NULL,
    search_text TEXT NOT NULL,
    facets TEXT NOT NULL,
    owner TEXT NOT NULL,
    version BIGINT NOT NULL,
    touched BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX events_by_creation ON events (tenant, created_at, id);
CREATE INDEX events_by_status ON events (tenant, status, created_at, id);
CREATE INDEX events_by_start ON events (tenant, starts_at, id);
CREATE INDEX events_by_title ON events (tenant, title_key, id);
CREATE INDEX events_by_update ON events (tenant, updated_at, id);
CREATE INDEX events_listed ON events (starts_at, id) WHERE listed = 1;
CREATE INDEX events_listed_by_creation ON events (created_at, id) WHERE listed = 1;
CREATE INDEX events_listed_by_title ON events (title_key, id) WHERE listed = 1;
CREATE INDEX events_listed_by_update ON events (updated_at, id) WHERE listed = 1;

-- The texts are tokens already (see the domain's `planning::search`): the index only has to cut at spaces. `facets` are
-- the columns that lists filter by, as tokens, so that one question to the index knows about all of them. The
-- lengths of `prefix` are those that `planning::search` asks for.
CREATE VIRTUAL TABLE events_search USING fts5 (
    search_title, search_text, facets,
    content = 'events', content_rowid = 'seq', tokenize = 'ascii', prefix = '2 3 4 5 6 9'
);
CREATE TRIGGER events_search_added AFTER INSERT ON events BEGIN
    INSERT INTO events_search (rowid, search_title, search_text, facets)
    VALUES (new.seq, new.search_title, new.search_text, new.facets);
END;
CREATE TRIGGER events_search_removed AFTER DELETE ON events BEGIN
    INSERT INTO events_search (events_search, rowid, search_title, search_text, facets)
    VALUES ('delete', old.seq, old.search_title, old.search_text, old.facets);
END;
CREATE TRIGGER events_search_changed AFTER UPDATE ON events
WHEN old.search_title <> new.search_title OR old.search_text <> new.search_text OR old.facets <> new.facets BEGIN
    INSERT INTO events_search (events_search, rowid, search_title, search_text, facets)
    VALUES ('delete', old.seq, old.search_title, old.search_text, old.facets);
    INSERT INTO events_search (rowid, search_title, search_text, facets)
    VALUES (new.seq, new.search_title, new.search_text, new.facets);
END;
