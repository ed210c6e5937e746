-- +goose Up
-- Clients that are frozen, keys that are rotated, tokens of programs, and what
-- a restored database must not believe.

-- A change that concerns everybody of one organization.
ALTER TABLE changes ADD COLUMN organization TEXT NOT NULL DEFAULT '';
ALTER TABLE organizations ADD COLUMN frozen_by TEXT NOT NULL DEFAULT '';
ALTER TABLE organizations ADD COLUMN frozen_reason TEXT NOT NULL DEFAULT '';

-- When a key begins to sign; it is published before. 0 is from the beginning.
ALTER TABLE keys ADD COLUMN activates BIGINT NOT NULL DEFAULT 0;

-- Tokens of programs: of a person, or (person_id empty) of a service with facts
-- of its own. scopes and facts are JSON.
CREATE TABLE api_tokens (
    id           TEXT PRIMARY KEY,
    hash         BYTEA NOT NULL UNIQUE,
    person_id    TEXT NOT NULL,
    service      TEXT NOT NULL,
    connection   TEXT NOT NULL,
    organization TEXT NOT NULL,
    note         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    facts        TEXT NOT NULL,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    last_used    BIGINT NOT NULL DEFAULT 0,
    revoked      BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX api_tokens_person ON api_tokens (person_id);
CREATE INDEX api_tokens_organization ON api_tokens (organization);

-- Whom a restore may have revived: out until the identity provider names them.
ALTER TABLE people ADD COLUMN unconfirmed BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX people_unconfirmed ON people (connection) WHERE unconfirmed;
