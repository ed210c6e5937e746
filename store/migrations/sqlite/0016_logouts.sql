-- +goose Up
-- Whom a sign-out of an identity provider named, and when it came: a sign-in
-- that was under way by then makes no session of what it ended.
ALTER TABLE logout_tokens ADD COLUMN idp_issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE logout_tokens ADD COLUMN idp_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE logout_tokens ADD COLUMN idp_session TEXT NOT NULL DEFAULT '';
ALTER TABLE logout_tokens ADD COLUMN at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX logout_tokens_at ON logout_tokens (connection, at);
