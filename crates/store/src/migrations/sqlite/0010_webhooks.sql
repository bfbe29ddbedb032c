-- Subscriptions to signals. `events` is a JSON list of names and patterns, `options` what else was asked for;
-- `failures` counts the failed attempts since the last good one.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    options TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'disabled')),
    failures BIGINT NOT NULL DEFAULT 0,
    disabled_at BIGINT,
    disabled_reason TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX webhooks_by_tenant ON webhooks (tenant, created_at, id);

-- The secrets of a webhook, sealed: the one in force has no end, those before it end when their overlap does.
CREATE TABLE webhook_secrets (
    webhook_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT,
    PRIMARY KEY (webhook_id, n)
);

-- A signal owed to a webhook. `holder` is the node that has it in hand, empty for none; `tries` counts the attempts
-- since it was last made due by hand, `attempts` all of them. `body` is there only when there is no signal.
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    signal_id TEXT,
    name TEXT NOT NULL,
    body TEXT,
    lane TEXT,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'held', 'skipped')),
    tries BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    due_at BIGINT NOT NULL,
    holder TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    answered BIGINT,
    reason TEXT
);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, seq);
CREATE INDEX deliveries_by_signal ON deliveries (signal_id, seq) WHERE signal_id IS NOT NULL;
CREATE INDEX deliveries_owed ON deliveries (webhook_id, holder, due_at, seq) WHERE status = 'pending';
CREATE INDEX deliveries_lanes ON deliveries (webhook_id, lane, seq) WHERE status = 'pending' AND lane IS NOT NULL;
CREATE INDEX deliveries_kept ON deliveries (webhook_id, seq) WHERE status IN ('held', 'failed');

-- One HTTP exchange, or the failure to have one.
CREATE TABLE delivery_attempts (
    delivery_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    webhook_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    answer TEXT,
    PRIMARY KEY (delivery_id, n)
) WITHOUT ROWID;
CREATE INDEX delivery_attempts_by_webhook ON delivery_attempts (webhook_id, at);
