-- Nodes that share a database count a window together: `calls` are those that nodes have leased, `granted` is what the
-- last of them was given, `calls_max` the limit it asked under. A process that is alone writes neither.
ALTER TABLE rate_counts ADD COLUMN granted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rate_counts ADD COLUMN calls_max BIGINT NOT NULL DEFAULT 0;
