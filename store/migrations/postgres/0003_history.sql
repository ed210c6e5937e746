-- +goose Up
-- What was so, and is so no longer. The tables of today hold what is so and
-- since when; a change moves the row as it was to its *_history table, with
-- the interval [since, until) in which it was so. What was stored before this
-- migration counts as having been so from the beginning. The history of a
-- person is deleted with them.

ALTER TABLE organizations ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE people ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pushed_groups ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE memberships ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
UPDATE people SET since = created;
UPDATE pushed_groups SET since = created;

CREATE TABLE organizations_history (
    name     TEXT NOT NULL,
    disabled BOOLEAN NOT NULL,
    since    BIGINT NOT NULL,
    until    BIGINT NOT NULL
);
CREATE INDEX organizations_history_name ON organizations_history (name, until);

CREATE TABLE people_history (
    person_id          TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    since              BIGINT NOT NULL,
    until              BIGINT NOT NULL,
    connection         TEXT NOT NULL,
    organization       TEXT NOT NULL,
    user_name          TEXT NOT NULL,
    external_id        TEXT NOT NULL,
    name               TEXT NOT NULL,
    email              TEXT NOT NULL,
    email_verified     BOOLEAN NOT NULL,
    provisioned        BOOLEAN NOT NULL,
    idp_active         BOOLEAN NOT NULL,
    deactivated_at     BIGINT NOT NULL,
    deactivated_by     TEXT NOT NULL,
    deactivated_reason TEXT NOT NULL,
    locked_at          BIGINT NOT NULL,
    locked_by          TEXT NOT NULL,
    locked_reason      TEXT NOT NULL,
    attributes         TEXT NOT NULL,
    version            BIGINT NOT NULL,
    created            BIGINT NOT NULL,
    modified           BIGINT NOT NULL
);
CREATE INDEX people_history_person ON people_history (person_id, until);

-- Names outlive their group, so that what it gave can still be explained.
CREATE TABLE pushed_groups_history (
    group_id    TEXT NOT NULL,
    since       BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    connection  TEXT NOT NULL,
    name        TEXT NOT NULL,
    external_id TEXT NOT NULL,
    created     BIGINT NOT NULL
);
CREATE INDEX pushed_groups_history_group ON pushed_groups_history (group_id, until);

CREATE TABLE memberships_history (
    group_id  TEXT NOT NULL,
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    since     BIGINT NOT NULL,
    until     BIGINT NOT NULL
);
CREATE INDEX memberships_history_person ON memberships_history (person_id, until);
