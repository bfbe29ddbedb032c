-- When a run was handed over to the cluster that drives it; absent while it is driven here, or waits to be handed over.
ALTER TABLE runs ADD COLUMN handed_at BIGINT;
CREATE INDEX runs_unhanded ON runs (id) WHERE ended_at IS NULL AND handed_at IS NULL;
-- What runs that are driven elsewhere listen to. `names` is a JSON list of types, null in it for any. `state`: 0 nobody
-- offers it anything yet, 1 somebody does, 2 it is over and the row goes.
CREATE TABLE listens (
    run_id TEXT NOT NULL,
    op BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    names TEXT NOT NULL,
    since BIGINT NOT NULL,
    execution TEXT NOT NULL,
    hears_lifecycle BIGINT NOT NULL,
    state BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, op)
);
CREATE INDEX listens_for_lifecycle ON listens (tenant, run_id, op) WHERE hears_lifecycle = 1;
CREATE INDEX listens_news ON listens (run_id, op) WHERE state <> 1;
-- How far something has come, by its name.
CREATE TABLE progress (
    name TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);
