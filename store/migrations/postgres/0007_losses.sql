-- +goose Up
-- What identity providers took away, one row for each statement. It is what the
-- guard counts, and what an undo gives back. A row that is part of no mass
-- loss (mass = 0) goes soon after the hour that is counted, the others after 7
-- days. pending rows were not counted yet; group_id is empty for people of the
-- connection; snapshot holds what a deletion erased.
CREATE TABLE losses (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    connection TEXT NOT NULL,
    group_id   TEXT NOT NULL,
    kind       TEXT NOT NULL,
    member     TEXT NOT NULL,
    subject    TEXT NOT NULL DEFAULT '',
    weight     BIGINT NOT NULL DEFAULT 1,
    burial     TEXT NOT NULL DEFAULT '',
    snapshot   TEXT NOT NULL DEFAULT '',
    pending    BOOLEAN NOT NULL DEFAULT TRUE,
    mass       BIGINT NOT NULL DEFAULT 0,
    outcome    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX losses_pending ON losses (seq) WHERE pending;
CREATE INDEX losses_scope ON losses (connection, group_id, at);
CREATE INDEX losses_member ON losses (member, seq);
CREATE INDEX losses_mass ON losses (mass, seq);

-- What was lost at once. closed: nothing more joins it.
CREATE TABLE mass_losses (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection  TEXT NOT NULL,
    group_id    TEXT NOT NULL,
    group_name  TEXT NOT NULL,
    began       BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    population  BIGINT NOT NULL,
    deactivated BIGINT NOT NULL,
    deleted     BIGINT NOT NULL,
    removed     BIGINT NOT NULL,
    closed      BOOLEAN NOT NULL,
    undo_began  BIGINT NOT NULL DEFAULT 0,
    undone      BIGINT NOT NULL DEFAULT 0,
    undone_by   TEXT NOT NULL DEFAULT '',
    restored    BIGINT NOT NULL DEFAULT 0,
    skipped     BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX mass_losses_open ON mass_losses (connection, group_id) WHERE NOT closed;
CREATE INDEX mass_losses_last ON mass_losses (last_at);
