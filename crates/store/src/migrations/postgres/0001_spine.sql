CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE,
    key_prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    rate_limit BIGINT,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);

CREATE TABLE signals (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    attributes TEXT,
    received_at BIGINT NOT NULL,
    matched BIGINT NOT NULL CHECK (matched IN (0, 1)),
    replay_of TEXT,
    triggers TEXT
);
CREATE INDEX signals_by_time ON signals (tenant, received_at, seq);
CREATE INDEX signals_by_name ON signals (tenant, name, received_at, seq);

CREATE TABLE event_types (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    schema TEXT,
    example TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE definitions (
    hash TEXT PRIMARY KEY,
    source TEXT NOT NULL
);
CREATE TABLE workflows (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    definition_hash TEXT NOT NULL REFERENCES definitions (hash),
    origin TEXT NOT NULL CHECK (origin IN ('api', 'file')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, namespace, name, version)
);

CREATE TABLE runs (
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    definition_hash TEXT NOT NULL,
    semantics BIGINT NOT NULL,
    event_id TEXT,
    by_events BIGINT NOT NULL CHECK (by_events IN (0, 1)),
    input TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'waiting', 'suspended', 'cancelled', 'faulted', 'completed')),
    output TEXT,
    error TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX runs_by_tenant ON runs (tenant, id);
CREATE INDEX runs_by_event ON runs (event_id) WHERE event_id IS NOT NULL;
-- What is under way and what went wrong are few among many that went well: each list has its own small index.
CREATE INDEX runs_live ON runs (id) WHERE ended_at IS NULL;
CREATE INDEX runs_failed ON runs (tenant, status, id) WHERE status IN ('faulted', 'cancelled');

CREATE TABLE journal (
    run_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    input TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE idempotency (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE rate_counts (
    subject TEXT PRIMARY KEY,
    window_start BIGINT NOT NULL,
    calls BIGINT NOT NULL
);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    seq BIGINT NOT NULL
);
