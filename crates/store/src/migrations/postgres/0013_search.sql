-- The texts are tokens already (see the domain's `planning::search`): no dictionary changes them.
ALTER TABLE events ADD COLUMN search TSVECTOR GENERATED ALWAYS AS (
    to_tsvector('simple'::regconfig, search_title || ' ' || search_text || ' ' || facets)
) STORED;
CREATE INDEX events_search ON events USING GIN (search);
ALTER TABLE directory ADD COLUMN search TSVECTOR GENERATED ALWAYS AS (
    to_tsvector('simple'::regconfig, search_title || ' ' || search_text || ' ' || facets)
) STORED;
CREATE INDEX directory_search ON directory USING GIN (search);
