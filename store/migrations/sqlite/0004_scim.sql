-- +goose Up
-- attributes_key is attributes in lower case: what filters look at where case
-- does not matter. SQL lowers only ASCII here; each later push writes it anew.
ALTER TABLE people ADD COLUMN attributes_key TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN more_emails BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE people SET attributes_key = lower(attributes);
CREATE INDEX people_pushed ON people (connection, seq) WHERE provisioned;
CREATE INDEX people_inactive ON people (connection, seq) WHERE provisioned AND NOT idp_active;
CREATE INDEX people_created ON people (connection, created) WHERE provisioned;
CREATE INDEX people_modified ON people (connection, modified) WHERE provisioned;

-- The addresses of people beside the main one.
CREATE TABLE person_emails (
    person_id  TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    connection TEXT NOT NULL,
    value_key  TEXT NOT NULL,
    PRIMARY KEY (person_id, value_key)
);
CREATE INDEX person_emails_value ON person_emails (connection, value_key);
INSERT INTO person_emails (person_id, connection, value_key)
    SELECT DISTINCT p.id, p.connection, json_extract(e.value, '$.value')
    FROM people p, json_each(nullif(p.attributes_key, ''), '$.emails') e
    WHERE p.provisioned AND json_extract(e.value, '$.value') <> p.email_key;
UPDATE people SET more_emails = TRUE WHERE id IN (SELECT person_id FROM person_emails);

CREATE INDEX pushed_groups_created ON pushed_groups (connection, created);
CREATE INDEX pushed_groups_modified ON pushed_groups (connection, modified);

-- Groups inside of groups. Whoever is in the inner one is in the outer one.
CREATE TABLE nested_groups (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id  TEXT NOT NULL REFERENCES pushed_groups (id) ON DELETE CASCADE,
    member_id TEXT NOT NULL REFERENCES pushed_groups (id) ON DELETE CASCADE,
    UNIQUE (group_id, member_id)
);
CREATE INDEX nested_groups_member ON nested_groups (member_id);

-- What identity providers asked and were told, for 30 days.
CREATE TABLE scim_log (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         BIGINT NOT NULL,
    connection TEXT NOT NULL,
    token      TEXT NOT NULL,
    address    TEXT NOT NULL,
    method     TEXT NOT NULL,
    path       TEXT NOT NULL,
    status     BIGINT NOT NULL,
    cause      TEXT NOT NULL,
    body       TEXT NOT NULL,
    took       BIGINT NOT NULL
);
CREATE INDEX scim_log_connection ON scim_log (connection, seq);
CREATE INDEX scim_log_at ON scim_log (at);
