-- Who wrote what. `tenant` is a project's environment, or `instance` for what belongs to all of them; `before` and
-- `after` are JSON of what changed.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT,
    action TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target TEXT NOT NULL,
    state_before TEXT,
    state_after TEXT,
    request_id TEXT,
    address TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX audit_by_tenant ON audit (tenant, id);
CREATE INDEX audit_by_actor ON audit (tenant, actor, id);
CREATE INDEX audit_by_action ON audit (tenant, action, id);
CREATE INDEX audit_by_target ON audit (tenant, target, id);
