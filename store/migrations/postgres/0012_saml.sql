-- +goose Up
-- Assertions that let somebody in: each counts once, on whichever replica.
CREATE TABLE saml_assertions (
    connection TEXT NOT NULL,
    hash       BYTEA NOT NULL,
    expires    BIGINT NOT NULL,
    PRIMARY KEY (connection, hash)
);
CREATE INDEX saml_assertions_expires ON saml_assertions (expires);

-- What identity providers publish of themselves: the document in force, and one
-- that waits until somebody approves it. version makes replicas take turns.
CREATE TABLE saml_metadata (
    connection  TEXT PRIMARY KEY,
    source      TEXT NOT NULL,
    accepted    BYTEA NOT NULL,
    accepted_at BIGINT NOT NULL,
    pending     BYTEA NOT NULL,
    pending_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL
);

-- The session that a sign-in replaces: a browser keeps its cookie to itself
-- when another site sends it here.
ALTER TABLE sign_in_attempts ADD COLUMN replaces BYTEA NOT NULL DEFAULT '';
