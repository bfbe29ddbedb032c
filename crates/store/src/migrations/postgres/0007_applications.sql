-- What applicants without a key ask for the state of their application with: a secret, of which only its SHA-256 is
-- here. `subject` is a part of an event, or, without tenant and event, an entry of the directory.
CREATE TABLE application_tokens (
    token_hash TEXT PRIMARY KEY,
    tenant TEXT,
    event_id TEXT,
    subject TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('vendor', 'sponsor')),
    created_at BIGINT NOT NULL
);
CREATE INDEX application_tokens_by_event ON application_tokens (tenant, event_id);
