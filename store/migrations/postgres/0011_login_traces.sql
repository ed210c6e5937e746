-- +goose Up
-- What happened at attempts to sign in. body is the record as JSON; the other
-- columns are for finding it.

CREATE TABLE login_traces (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference  TEXT NOT NULL UNIQUE,
    start_ref  TEXT NOT NULL,
    connection TEXT NOT NULL,
    finished   BIGINT NOT NULL,
    came_in    BOOLEAN NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX login_traces_start ON login_traces (start_ref) WHERE start_ref <> '';
CREATE INDEX login_traces_connection ON login_traces (connection, finished);
CREATE INDEX login_traces_failed ON login_traces (finished) WHERE NOT came_in;
CREATE INDEX login_traces_finished ON login_traces (finished);

-- How many traces of a class an hour has kept and lost.
CREATE TABLE login_trace_counts (
    hour       BIGINT NOT NULL,
    connection TEXT NOT NULL,
    class      TEXT NOT NULL,
    kept       BIGINT NOT NULL,
    lost       BIGINT NOT NULL,
    PRIMARY KEY (hour, connection, class)
);

-- A dry run of a sign-in: opened by a link that counts once, in one browser.
CREATE TABLE login_tests (
    id         TEXT PRIMARY KEY,
    link_hash  BYTEA NOT NULL UNIQUE,
    connection TEXT NOT NULL,
    operator   TEXT NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    opened     BIGINT NOT NULL DEFAULT 0,
    report     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX login_tests_expires ON login_tests (expires);

-- Who asked, which dry run it is, and what a route wants beyond signing in.
ALTER TABLE sign_in_attempts ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_in_attempts ADD COLUMN test TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_in_attempts ADD COLUMN acr TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_in_attempts ADD COLUMN max_age BIGINT NOT NULL DEFAULT 0;
