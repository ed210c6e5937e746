-- +goose Up
-- Connections that were made in the console. What is removed stays, so that
-- nobody else's people are ever taken for those that came by it. Each write
-- has the next version of the whole table. The secrets are sealed.
CREATE TABLE console_connections (
    id       TEXT PRIMARY KEY,
    document BLOB NOT NULL,
    sealed   BLOB NOT NULL,
    version  BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    changed  BIGINT NOT NULL,
    author   TEXT NOT NULL,
    removed  BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX console_connections_version ON console_connections (version);

-- A link, and what it opened, may be for one connection alone.
ALTER TABLE console_links ADD COLUMN connection TEXT NOT NULL DEFAULT '';
ALTER TABLE console_visits ADD COLUMN connection TEXT NOT NULL DEFAULT '';

-- What administrators chose for everybody, and people for themselves.
CREATE TABLE console_settings (
    name    TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    changed BIGINT NOT NULL,
    author  TEXT NOT NULL
);
CREATE TABLE console_preferences (
    person_id TEXT PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
    zone      TEXT NOT NULL,
    dates     TEXT NOT NULL,
    numbers   TEXT NOT NULL
);

-- How the connections fare.
CREATE INDEX scim_log_refused ON scim_log (connection, at) WHERE status >= 400;
CREATE INDEX sessions_connection ON sessions (connection) WHERE ended = 0;
