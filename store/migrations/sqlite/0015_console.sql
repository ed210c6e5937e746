-- +goose Up
-- Links that open the console once, without anybody's rights, and what they
-- opened. Only hashes are kept.
CREATE TABLE console_links (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    issuer     TEXT NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    opened     BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE console_visits (
    id      TEXT PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE,
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
CREATE INDEX people_never ON people (substr(name_key, 1, 120), seq) WHERE NOT last_active;
CREATE INDEX people_pushed_by_name ON people (substr(name_key, 1, 120), seq) WHERE provisioned;
CREATE INDEX people_known_by_name ON people (substr(name_key, 1, 120), seq) WHERE NOT provisioned;

-- What is found by any three letters of a name, an address or a userName.
CREATE VIRTUAL TABLE people_search USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'trigram');
INSERT INTO people_search (rowid, text) SELECT seq, name_key || ' ' || email_key || ' ' || user_name_key FROM people;
-- +goose StatementBegin
CREATE TRIGGER people_search_insert AFTER INSERT ON people BEGIN
    INSERT INTO people_search (rowid, text) VALUES (new.seq, new.name_key || ' ' || new.email_key || ' ' || new.user_name_key);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER people_search_update AFTER UPDATE OF name_key, email_key, user_name_key ON people
WHEN new.name_key <> old.name_key OR new.email_key <> old.email_key OR new.user_name_key <> old.user_name_key BEGIN
    UPDATE people_search SET text = new.name_key || ' ' || new.email_key || ' ' || new.user_name_key WHERE rowid = new.seq;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER people_search_delete AFTER DELETE ON people BEGIN
    DELETE FROM people_search WHERE rowid = old.seq;
END;
-- +goose StatementEnd

-- Whom an attempt to sign in led to.
ALTER TABLE login_traces ADD COLUMN person TEXT NOT NULL DEFAULT '';
UPDATE login_traces SET person = coalesce(json_extract(body, '$.person'), '');
CREATE INDEX login_traces_person ON login_traces (person, finished) WHERE person <> '';

-- What was asked about one person: /Users/ and a UUID.
CREATE INDEX scim_log_person ON scim_log (substr(path, 1, 43), seq) WHERE substr(path, 1, 7) = '/Users/';

CREATE INDEX audit_events_action ON audit_events (action, seq);
CREATE INDEX audit_events_connection ON audit_events (connection, seq);
CREATE INDEX audit_events_at ON audit_events (at);
