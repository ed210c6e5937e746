-- +goose Up
-- Roles that were granted to one person for a time, beside the mapping. A row
-- is never changed but by taking it back, so that the table is its own past.
CREATE TABLE role_exceptions (
    id         TEXT PRIMARY KEY,
    person_id  TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role       TEXT NOT NULL,
    since      BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    given_by   TEXT NOT NULL,
    giver      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    revoked    BIGINT NOT NULL DEFAULT 0,
    revoked_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX role_exceptions_person ON role_exceptions (person_id, since);
