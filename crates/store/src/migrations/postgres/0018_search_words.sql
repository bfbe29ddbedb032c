-- How searches come to what the newest rows have to offer without reading all that has a word: besides its tokens the index
-- knows in which stretch of rows a row is, for stretches of several lengths. The tokens are written where nobody's statement
-- sees them.
SET LOCAL maintenance_work_mem = '256MB';
CREATE INDEX events_found ON events USING GIN ((search || array_to_tsvector(ARRAY[
    'n9x' || (seq >> 9)::text, 'n11x' || (seq >> 11)::text, 'n13x' || (seq >> 13)::text,
    'n15x' || (seq >> 15)::text, 'n17x' || (seq >> 17)::text, 'n19x' || (seq >> 19)::text,
    'n21x' || (seq >> 21)::text, 'n23x' || (seq >> 23)::text, 'n25x' || (seq >> 25)::text,
    'n27x' || (seq >> 27)::text, 'n29x' || (seq >> 29)::text
]))) WITH (gin_pending_list_limit = 256);
CREATE INDEX directory_found ON directory USING GIN ((search || array_to_tsvector(ARRAY[
    'n9x' || (seq >> 9)::text, 'n11x' || (seq >> 11)::text, 'n13x' || (seq >> 13)::text,
    'n15x' || (seq >> 15)::text, 'n17x' || (seq >> 17)::text, 'n19x' || (seq >> 19)::text,
    'n21x' || (seq >> 21)::text, 'n23x' || (seq >> 23)::text, 'n25x' || (seq >> 25)::text,
    'n27x' || (seq >> 27)::text, 'n29x' || (seq >> 29)::text
]))) WITH (gin_pending_list_limit = 256);
DROP INDEX events_search;
DROP INDEX directory_search;

-- Every word there is. For the beginning of a word the index gathers all rows of all words that begin so before it looks at
-- anything else; of whole words it reads no more than they have in common. So it is asked for the words that begin so. Words
-- stay when their last row goes: they then find nothing.
CREATE TABLE search_words (word TEXT COLLATE "C" PRIMARY KEY);

-- New words are added in order: two nodes that add the same ones do not wait for each other in a circle.
CREATE FUNCTION search_words_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_words (word)
    SELECT DISTINCT token.word COLLATE "C" FROM added, unnest(tsvector_to_array(added.search)) AS token (word)
    WHERE left(token.word, 1) IN ('t', 'w')
    AND NOT EXISTS (SELECT FROM search_words AS known WHERE known.word = token.word COLLATE "C")
    ORDER BY 1 ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION search_words_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_words (word)
    SELECT token.word COLLATE "C" FROM unnest(tsvector_to_array(NEW.search)) AS token (word)
    WHERE left(token.word, 1) IN ('t', 'w')
    AND NOT EXISTS (SELECT FROM search_words AS known WHERE known.word = token.word COLLATE "C")
    ORDER BY 1 ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER events_words_added AFTER INSERT ON events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION search_words_added();
CREATE TRIGGER events_words_changed AFTER UPDATE ON events
    FOR EACH ROW WHEN (OLD.search IS DISTINCT FROM NEW.search) EXECUTE FUNCTION search_words_changed();
CREATE TRIGGER directory_words_added AFTER INSERT ON directory
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION search_words_added();
CREATE TRIGGER directory_words_changed AFTER UPDATE ON directory
    FOR EACH ROW WHEN (OLD.search IS DISTINCT FROM NEW.search) EXECUTE FUNCTION search_words_changed();

-- After the triggers, past which nobody writes.
INSERT INTO search_words (word)
SELECT word FROM ts_stat('SELECT search FROM events UNION ALL SELECT search FROM directory')
WHERE left(word, 1) IN ('t', 'w');
ANALYZE search_words;
ANALYZE events;
ANALYZE directory;
