-- +goose Up
-- Sub-organizations: a tree in each organization. A name is there once in an
-- organization, whatever its case.
CREATE TABLE units (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (name),
    parent       TEXT NOT NULL DEFAULT '',
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    created      BIGINT NOT NULL
);
CREATE UNIQUE INDEX units_name ON units (organization, name_key);

-- In which one somebody is: its id, nothing for the organization itself.
ALTER TABLE people ADD COLUMN unit TEXT NOT NULL DEFAULT '';
ALTER TABLE people_history ADD COLUMN unit TEXT NOT NULL DEFAULT '';
CREATE INDEX people_unit ON people (unit) WHERE unit <> '';

-- What a connection's identity provider said where people are, when it was last seen.
ALTER TABLE connections ADD COLUMN unit_attribute TEXT NOT NULL DEFAULT '';

CREATE OR REPLACE VIEW people_listing AS SELECT seq, substr(name_key, 1, 120) AS name, substr(email_key, 1, 120) AS email, organization, connection, provisioned,
    CASE WHEN deactivated_at <> 0 OR NOT idp_active THEN 2 WHEN locked_at <> 0 THEN 1 ELSE 0 END AS state,
    last_active = 0 AS never, last_active, name_key || ' ' || email_key || ' ' || user_name_key AS text, unit FROM people;
ALTER TABLE people_list ADD COLUMN unit TEXT NOT NULL DEFAULT '';
CREATE INDEX people_list_unit ON people_list (unit, name, seq) WHERE unit <> '';
DROP TRIGGER people_unlist_changed ON people;
CREATE TRIGGER people_unlist_changed AFTER UPDATE ON people FOR EACH ROW
    WHEN ((new.name_key, new.email_key, new.user_name_key, new.organization, new.connection, new.provisioned, new.idp_active, new.deactivated_at, new.locked_at, new.last_active, new.unit) IS DISTINCT FROM (old.name_key, old.email_key, old.user_name_key, old.organization, old.connection, old.provisioned, old.idp_active, old.deactivated_at, old.locked_at, old.last_active, old.unit))
    EXECUTE FUNCTION people_unlist();
