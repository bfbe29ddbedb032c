-- Values are sealed before they come here; `key_id` says under which key.
CREATE TABLE secrets (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
-- What a definition was linked with: a JSON object of texts by their address.
ALTER TABLE definitions ADD COLUMN documents TEXT;
