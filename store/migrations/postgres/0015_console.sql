-- +goose Up
-- Links that open the console once, without anybody's rights, and what they
-- opened. Only hashes are kept.
CREATE TABLE console_links (
    id         TEXT PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
    issuer     TEXT NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    opened     BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE console_visits (
    id      TEXT PRIMARY KEY,
    hash    BYTEA NOT NULL UNIQUE,
    issuer  TEXT NOT NULL,
    address TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended   BIGINT NOT NULL DEFAULT 0
);

-- The orders of the list of people, and the filters that few people meet. Of
-- a long name the beginning decides.
CREATE INDEX people_by_name ON people (substr(name_key, 1, 120), seq);
CREATE INDEX people_by_email ON people (substr(email_key, 1, 120), seq);
CREATE INDEX people_by_active ON people (last_active, seq);
CREATE INDEX people_of_organization ON people (organization, substr(name_key, 1, 120), seq);
CREATE INDEX people_of_connection ON people (connection, substr(name_key, 1, 120), seq);
CREATE INDEX people_locked ON people (substr(name_key, 1, 120), seq) WHERE locked_at <> 0;
CREATE INDEX people_out ON people (substr(name_key, 1, 120), seq) WHERE deactivated_at <> 0 OR NOT idp_active;
CREATE INDEX people_never ON people (substr(name_key, 1, 120), seq) WHERE last_active = 0;
CREATE INDEX people_pushed_by_name ON people (substr(name_key, 1, 120), seq) WHERE provisioned;
CREATE INDEX people_known_by_name ON people (substr(name_key, 1, 120), seq) WHERE NOT provisioned;

-- What is found by any three letters of a name, an address or a userName.
-- Where the extension is not there, the search reads everybody.
-- +goose StatementBegin
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX people_search ON people USING gin ((name_key || ' ' || email_key || ' ' || user_name_key) gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'people are searched without pg_trgm: %', SQLERRM;
END $$;
-- +goose StatementEnd

-- Whom an attempt to sign in led to.
ALTER TABLE login_traces ADD COLUMN person TEXT NOT NULL DEFAULT '';
UPDATE login_traces SET person = coalesce(body::jsonb ->> 'person', '');
CREATE INDEX login_traces_person ON login_traces (person, finished) WHERE person <> '';

-- What was asked about one person: /Users/ and a UUID.
CREATE INDEX scim_log_person ON scim_log (substr(path, 1, 43), seq) WHERE substr(path, 1, 7) = '/Users/';

CREATE INDEX audit_events_action ON audit_events (action, seq);
CREATE INDEX audit_events_connection ON audit_events (connection, seq);
CREATE INDEX audit_events_at ON audit_events (at);
