-- Imports look entries up by their name.
ALTER TABLE directory ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
CREATE INDEX directory_by_name ON directory (side, name_key, id);
