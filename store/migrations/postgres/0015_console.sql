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

-- The list of people, apart from them: each of its orders is an index, and whoever
-- is pushed shall not wait for those. What has changed since it was listed is
-- noted in people_unlisted, and read from the people themselves until a
-- background task has listed it.
CREATE VIEW people_listing AS SELECT seq, substr(name_key, 1, 120) AS name, substr(email_key, 1, 120) AS email, organization, connection, provisioned,
    CASE WHEN deactivated_at <> 0 OR NOT idp_active THEN 2 WHEN locked_at <> 0 THEN 1 ELSE 0 END AS state,
    last_active = 0 AS never, last_active, name_key || ' ' || email_key || ' ' || user_name_key AS text FROM people;
CREATE TABLE people_list (
    seq          BIGINT PRIMARY KEY,
    name         TEXT NOT NULL,
    email        TEXT NOT NULL,
    organization TEXT NOT NULL,
    connection   TEXT NOT NULL,
    provisioned  BOOLEAN NOT NULL,
    state        INTEGER NOT NULL,
    never        BOOLEAN NOT NULL,
    last_active  BIGINT NOT NULL,
    text         TEXT NOT NULL
);
INSERT INTO people_list SELECT * FROM people_listing;
CREATE INDEX people_list_name ON people_list (name, seq);
CREATE INDEX people_list_email ON people_list (email, seq);
CREATE INDEX people_list_active ON people_list (last_active, seq);
CREATE INDEX people_list_organization ON people_list (organization, name, seq);
CREATE INDEX people_list_organization_email ON people_list (organization, email, seq);
CREATE INDEX people_list_organization_active ON people_list (organization, last_active, seq);
CREATE INDEX people_list_connection ON people_list (connection, name, seq);
CREATE INDEX people_list_connection_email ON people_list (connection, email, seq);
CREATE INDEX people_list_connection_active ON people_list (connection, last_active, seq);
CREATE INDEX people_list_state ON people_list (state, name, seq);
CREATE INDEX people_list_never ON people_list (never, name, seq);
CREATE INDEX people_list_source ON people_list (provisioned, name, seq);

-- A person may be noted several times: to look for an earlier note would be
-- to wait for whoever takes it up.
CREATE TABLE people_unlisted (
    note BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq  BIGINT NOT NULL
);
-- +goose StatementBegin
CREATE FUNCTION people_unlist() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO people_unlisted (seq) VALUES (CASE WHEN TG_OP = 'DELETE' THEN old.seq ELSE new.seq END);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER people_unlist_new AFTER INSERT OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION people_unlist();
CREATE TRIGGER people_unlist_changed AFTER UPDATE ON people FOR EACH ROW
    WHEN ((new.name_key, new.email_key, new.user_name_key, new.organization, new.connection, new.provisioned, new.idp_active, new.deactivated_at, new.locked_at, new.last_active) IS DISTINCT FROM (old.name_key, old.email_key, old.user_name_key, old.organization, old.connection, old.provisioned, old.idp_active, old.deactivated_at, old.locked_at, old.last_active))
    EXECUTE FUNCTION people_unlist();

-- What is found by any three letters of a name, an address or a userName.
-- Where the extension is not there, the search reads the whole list.
-- +goose StatementBegin
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX people_search ON people_list USING gin (text gin_trgm_ops);
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

-- What people push and everyday sign-ins write is dense in the trail, and
-- costs nothing here: it is met on the way.
CREATE INDEX audit_events_rare ON audit_events (action, seq) WHERE action NOT IN ('person.created', 'person.updated', 'person.deactivated',
    'group.created', 'group.updated', 'sign-in', 'sign-out', 'session.ended');
CREATE INDEX audit_events_connection ON audit_events (connection, seq);
CREATE INDEX audit_events_at ON audit_events USING brin (at);
