-- What hangs on an event. `body` is the part's own form; `status` and `facet` are what lists filter by, `party` is the
-- vendor or sponsor of whom there may be one of this kind.
CREATE TABLE event_parts (
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('task', 'budget', 'vendor', 'sponsor', 'application')),
    status TEXT NOT NULL,
    facet TEXT,
    party TEXT,
    body TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX event_parts_by_event ON event_parts (tenant, event_id, kind, id);
CREATE INDEX event_parts_by_status ON event_parts (tenant, event_id, kind, status, id);
CREATE UNIQUE INDEX event_parts_pairs ON event_parts (event_id, kind, party) WHERE party IS NOT NULL;
