-- +goose Up
-- The kinds of people that are on the list: what they have in common in all that
-- the list is narrowed by. They are few, so that a page is made of the first of
-- each kind that is asked for, however rare or frequent those are and wherever
-- they stand in the order. Four indexes by kind are there instead of ten by one
-- column each.
CREATE TABLE people_kinds (
    id           INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    connection   TEXT NOT NULL,
    provisioned  BOOLEAN NOT NULL,
    state        INTEGER NOT NULL,
    never        BOOLEAN NOT NULL,
    unit         TEXT NOT NULL,
    UNIQUE (organization, connection, unit, state, never, provisioned)
);
INSERT INTO people_kinds (organization, connection, provisioned, state, never, unit)
    SELECT DISTINCT organization, connection, provisioned, state, never, unit FROM people_list;

-- Copied, and not filled anew: what is noted in people_unlisted is told from what is on the list.
CREATE TABLE people_list_next (
    seq          INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    email        TEXT NOT NULL,
    organization TEXT NOT NULL,
    connection   TEXT NOT NULL,
    provisioned  BOOLEAN NOT NULL,
    state        INTEGER NOT NULL,
    never        BOOLEAN NOT NULL,
    last_active  BIGINT NOT NULL,
    text         TEXT NOT NULL,
    unit         TEXT NOT NULL,
    kind         BIGINT NOT NULL
);
INSERT INTO people_list_next SELECT l.seq, l.name, l.email, l.organization, l.connection, l.provisioned, l.state, l.never, l.last_active, l.text, l.unit, k.id
    FROM people_list l JOIN people_kinds k ON k.organization = l.organization AND k.connection = l.connection AND k.unit = l.unit
        AND k.state = l.state AND k.never = l.never AND k.provisioned = l.provisioned;
DROP TABLE people_list;
ALTER TABLE people_list_next RENAME TO people_list;
CREATE INDEX people_list_name ON people_list (name, seq);
CREATE INDEX people_list_email ON people_list (email, seq);
CREATE INDEX people_list_active ON people_list (last_active, seq);
CREATE INDEX people_list_kind ON people_list (kind, seq);
CREATE INDEX people_list_kind_name ON people_list (kind, name, seq);
CREATE INDEX people_list_kind_email ON people_list (kind, email, seq);
CREATE INDEX people_list_kind_active ON people_list (kind, last_active, seq);
