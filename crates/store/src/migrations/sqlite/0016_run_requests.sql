-- What was asked of runs at nodes that do not drive them. `act` is the audit log's row for it, as JSON; `taken` says that
-- the node that drives has begun to answer, `changed` what came of it.
CREATE TABLE run_requests (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    control TEXT NOT NULL CHECK (control IN ('cancel', 'suspend', 'resume')),
    act TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    taken BIGINT NOT NULL DEFAULT 0 CHECK (taken IN (0, 1)),
    changed BIGINT CHECK (changed IN (0, 1))
);
CREATE INDEX run_requests_open ON run_requests (asked_at, id) WHERE taken = 0;
