-- +goose Up
-- Revisions of the mapping. A row of mapping_revisions, mapping_texts,
-- mapping_contents or mapping_applications is never changed or deleted.

-- One text, kept once however many revisions hold it.
CREATE TABLE mapping_texts (
    hash TEXT PRIMARY KEY,
    body BYTEA NOT NULL
);

CREATE TABLE mapping_revisions (
    number       BIGINT PRIMARY KEY,
    hash         TEXT NOT NULL UNIQUE,
    created      BIGINT NOT NULL,
    author_kind  TEXT NOT NULL,
    author_id    TEXT NOT NULL,
    author_name  TEXT NOT NULL,
    reason       TEXT NOT NULL,
    tests_ran    BIGINT NOT NULL,
    tests_failed BIGINT NOT NULL
);

-- The texts of a revision by name, the base first.
CREATE TABLE mapping_contents (
    revision BIGINT NOT NULL REFERENCES mapping_revisions (number),
    position BIGINT NOT NULL,
    name     TEXT NOT NULL,
    text     TEXT NOT NULL REFERENCES mapping_texts (hash),
    PRIMARY KEY (revision, position),
    UNIQUE (revision, name)
);

-- Which revision came into force when. base is the application before.
CREATE TABLE mapping_applications (
    seq        BIGINT PRIMARY KEY,
    at         BIGINT NOT NULL,
    revision   BIGINT NOT NULL REFERENCES mapping_revisions (number),
    way        TEXT NOT NULL,
    base       BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    reason     TEXT NOT NULL,
    counts     TEXT NOT NULL,
    proposal   BIGINT NOT NULL
);
CREATE INDEX mapping_applications_revision ON mapping_applications (revision, seq);
CREATE INDEX mapping_applications_at ON mapping_applications (at, seq);

-- The application in force, 0 for none. Its one row is the lock that every
-- writer of these tables takes first, and what replicas read.
CREATE TABLE mapping_head (
    id          BIGINT PRIMARY KEY CHECK (id = 1),
    application BIGINT NOT NULL
);
INSERT INTO mapping_head (id, application) VALUES (1, 0);

-- base is the application that was in force; applied is the one it led to.
CREATE TABLE mapping_proposals (
    seq            BIGINT PRIMARY KEY,
    at             BIGINT NOT NULL,
    revision       BIGINT NOT NULL REFERENCES mapping_revisions (number),
    base           BIGINT NOT NULL,
    author_kind    TEXT NOT NULL,
    author_id      TEXT NOT NULL,
    author_name    TEXT NOT NULL,
    author_login   TEXT NOT NULL,
    reason         TEXT NOT NULL,
    needs          TEXT NOT NULL,
    counts         TEXT NOT NULL,
    approved_at    BIGINT NOT NULL DEFAULT 0,
    approver_kind  TEXT NOT NULL DEFAULT '',
    approver_id    TEXT NOT NULL DEFAULT '',
    approver_name  TEXT NOT NULL DEFAULT '',
    approver_login TEXT NOT NULL DEFAULT '',
    applied        BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX mapping_proposals_revision ON mapping_proposals (revision, seq);

-- What each gate runs.
CREATE TABLE mapping_replicas (
    id      TEXT PRIMARY KEY,
    hash    TEXT NOT NULL,
    since   BIGINT NOT NULL,
    problem TEXT NOT NULL,
    seen    BIGINT NOT NULL
);
