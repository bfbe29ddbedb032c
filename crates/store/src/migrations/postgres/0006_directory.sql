-- Vendors and sponsors of the whole instance. `profile` is the entry's own form; the columns beside it are what lists
-- filter and sort by, derived from it.
CREATE TABLE directory (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    side TEXT NOT NULL CHECK (side IN ('vendor', 'sponsor')),
    review TEXT NOT NULL CHECK (review IN ('pending', 'approved', 'rejected')),
    reviewed_at BIGINT,
    reason TEXT,
    profile TEXT NOT NULL,
    sort_word TEXT COLLATE "C" NOT NULL,
    group_key TEXT NOT NULL,
    search_name TEXT NOT NULL,
    search_rest TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    search TSVECTOR GENERATED ALWAYS AS (
        setweight(to_tsvector('simple'::regconfig, search_name), 'A')
        || setweight(to_tsvector('simple'::regconfig, search_rest), 'B')
    ) STORED
);
CREATE INDEX directory_by_creation ON directory (side, created_at, id);
CREATE INDEX directory_by_review ON directory (side, review, created_at, id);
CREATE INDEX directory_by_group ON directory (side, review, group_key, created_at, id);
CREATE INDEX directory_groups ON directory (side, review, sort_word);
-- The texts are tokens already (see the domain's `planning::search`): no dictionary changes them.
CREATE INDEX directory_search ON directory USING GIN (search);

CREATE INDEX events_listed_by_creation ON events (created_at, id) WHERE listed = 1;
