-- Whoever goes through rows to look what they hold should find it in the row: not compressed, and not elsewhere, unless
-- it is longer than a page. The columns are made anew by the next migration, so that this is so of the rows that are there.
ALTER TABLE events SET (toast_tuple_target = 8160);
ALTER TABLE events DROP COLUMN search;
ALTER TABLE directory SET (toast_tuple_target = 8160);
ALTER TABLE directory DROP COLUMN search;
