-- +goose Up
-- What the identity provider calls a session and its person, so that it can
-- end them; and the sealed refresh token, which is asked when it is due.
-- A session whose refresh_due is 0 is never asked about.
ALTER TABLE sessions ADD COLUMN idp_issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN idp_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN idp_session TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN refresh_token BLOB NOT NULL DEFAULT X'';
ALTER TABLE sessions ADD COLUMN refresh_due BIGINT NOT NULL DEFAULT 0;
CREATE INDEX sessions_idp_subject ON sessions (connection, idp_subject) WHERE ended = 0 AND idp_subject <> '';
CREATE INDEX sessions_idp_session ON sessions (connection, idp_session) WHERE ended = 0 AND idp_session <> '';
CREATE INDEX sessions_refresh_due ON sessions (refresh_due) WHERE ended = 0 AND refresh_due > 0;

-- Logout tokens that were obeyed: each counts once.
CREATE TABLE logout_tokens (
    connection TEXT NOT NULL,
    hash       BLOB NOT NULL,
    expires    BIGINT NOT NULL,
    PRIMARY KEY (connection, hash)
);
CREATE INDEX logout_tokens_expires ON logout_tokens (expires);
