-- +goose Up
-- OAuth clients stand beside bearer tokens: both open one connection.
ALTER TABLE scim_tokens ADD COLUMN client BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE scim_tokens ADD COLUMN public_key TEXT NOT NULL DEFAULT '';

-- What clients were given for their credentials, for an hour each.
CREATE TABLE scim_access_tokens (
    hash    BYTEA PRIMARY KEY,
    client  TEXT NOT NULL REFERENCES scim_tokens (id) ON DELETE CASCADE,
    expires BIGINT NOT NULL
);
CREATE INDEX scim_access_tokens_client ON scim_access_tokens (client);
CREATE INDEX scim_access_tokens_expires ON scim_access_tokens (expires);

-- Assertions that were used, until they would be refused anyway.
CREATE TABLE scim_assertions (
    client  TEXT NOT NULL REFERENCES scim_tokens (id) ON DELETE CASCADE,
    hash    BYTEA NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (client, hash)
);
CREATE INDEX scim_assertions_expires ON scim_assertions (expires);
