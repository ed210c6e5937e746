-- +goose Up
-- Whether a connection was removed while the configuration had another one of
-- its id: people, sessions and tokens are of that, and no gate ends them.
ALTER TABLE console_connections ADD COLUMN stays BOOLEAN NOT NULL DEFAULT FALSE;

-- Tokens are listed page by page, in the order of their making.
CREATE INDEX api_tokens_created ON api_tokens (created, id);
