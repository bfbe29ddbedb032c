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
    search_title TEXT NOT NULL,
    search_text TEXT NOT NULL,
    facets TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    search TSVECTOR GENERATED ALWAYS AS (
        to_tsvector('simple'::regconfig, search_title || ' ' || search_text || ' ' || facets)
    ) STORED
);
CREATE INDEX directory_by_creation ON directory (side, created_at, id);
CREATE INDEX directory_by_review ON directory (side, review, created_at, id);
CREATE INDEX directory_by_group ON directory (side, review, group_key, created_at, id);
CREATE INDEX directory_groups ON directory (side, review, sort_word);
CREATE INDEX directory_by_seq ON directory (side, review, seq);
-- The texts are tokens already (see the domain's `planning::search`): no dictionary changes them.
CREATE INDEX directory_search ON directory USING GIN (search);
