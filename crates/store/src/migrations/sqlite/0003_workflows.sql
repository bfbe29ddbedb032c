-- What only some runs have: when a gate let them begin and under which keys, who started them, how often they were retried.
ALTER TABLE runs ADD COLUMN begun_at BIGINT;
ALTER TABLE runs ADD COLUMN gate TEXT;
ALTER TABLE runs ADD COLUMN parent_run TEXT;
ALTER TABLE runs ADD COLUMN parent_op BIGINT;
ALTER TABLE runs ADD COLUMN depth BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN quiet BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
-- One operation of a run starts one child, whoever writes it.
CREATE UNIQUE INDEX runs_by_parent ON runs (parent_run, parent_op) WHERE parent_run IS NOT NULL;
CREATE INDEX runs_by_gate ON runs (tenant, namespace, name, begun_at) WHERE begun_at IS NOT NULL;

CREATE TABLE snapshots (
    run_id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    state TEXT NOT NULL
);

CREATE TABLE schedules (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    definition_hash TEXT NOT NULL,
    since BIGINT NOT NULL,
    next_at BIGINT,
    PRIMARY KEY (tenant, namespace, name)
);

CREATE TABLE gathered_events (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    signal_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (tenant, namespace, name, signal_id)
);
CREATE INDEX gathered_events_by_time ON gathered_events (received_at);
