-- Who may post to /api/v1/hooks. `options` holds the jq expressions and the rule of a signature, where they are the
-- owner's; `sealed` a JSON list of secrets, none for a sender that does not sign.
CREATE TABLE sources (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    preset TEXT NOT NULL,
    options TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'paused')),
    key_id TEXT,
    sealed TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant, name)
);
CREATE INDEX sources_by_tenant ON sources (tenant, created_at, id);
CREATE INDEX sources_by_key ON sources (id) WHERE key_id IS NOT NULL;
