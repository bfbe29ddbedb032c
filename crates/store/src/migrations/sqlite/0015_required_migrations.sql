-- Whoever starts on this database has to know the migrations that are marked here. A migration that takes something away
-- marks the one whose version was the first to do without it.
ALTER TABLE schema_migrations ADD COLUMN required BIGINT NOT NULL DEFAULT 0;
