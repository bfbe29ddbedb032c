-- `plan` is the event's own form; the columns beside it are what lists filter and sort by, derived from it.
-- `touched` moves with every change of what hangs on an event, so that a deletion can be guarded.
-- `listed`: the public sees it (public, planning or active, live).
CREATE TABLE events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    title_key TEXT COLLATE "C" NOT NULL,
    search_title TEXT NOT NULL,
    search_text TEXT NOT NULL,
    facets TEXT NOT NULL,
    owner TEXT NOT NULL,
    version BIGINT NOT NULL,
    touched BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    search TSVECTOR GENERATED ALWAYS AS (
        to_tsvector('simple'::regconfig, search_title || ' ' || search_text || ' ' || facets)
    ) STORED
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
-- What is found often is found by going through the newest first (see `planning::search`).
CREATE INDEX events_by_seq ON events (tenant, seq);
CREATE INDEX events_listed_by_seq ON events (seq) WHERE listed = 1;
-- The texts are tokens already (see the domain's `planning::search`): no dictionary changes them.
CREATE INDEX events_search ON events USING GIN (search);
