-- The search indexes are made anew by the next migration. It is another transaction, since within one SQLite would keep
-- every page of the old index in memory while it fills it again.
DROP TABLE events_search;
DROP TABLE directory_search;
