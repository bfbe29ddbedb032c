-- Beginnings of words of every length up to eleven letters (a token has a letter before the word), so that the index
-- alone knows what most searches find: no row has to be read to count them. While it is filled it may hold more in
-- memory than the usual megabyte, which leaves fewer segments to be merged.
CREATE VIRTUAL TABLE events_search USING fts5 (
    search_title, search_text, facets,
    content = 'events', content_rowid = 'seq', tokenize = 'ascii', prefix = '2 3 4 5 6 7 8 9 10 11 12'
);
INSERT INTO events_search (events_search, rank) VALUES ('hashsize', 67108864);
INSERT INTO events_search (events_search) VALUES ('rebuild');
INSERT INTO events_search (events_search, rank) VALUES ('hashsize', 1048576);
CREATE VIRTUAL TABLE directory_search USING fts5 (
    search_title, search_text, facets,
    content = 'directory', content_rowid = 'seq', tokenize = 'ascii', prefix = '2 3 4 5 6 7 8 9 10 11 12'
);
INSERT INTO directory_search (directory_search, rank) VALUES ('hashsize', 67108864);
INSERT INTO directory_search (directory_search) VALUES ('rebuild');
INSERT INTO directory_search (directory_search, rank) VALUES ('hashsize', 1048576);
