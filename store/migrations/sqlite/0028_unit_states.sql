-- +goose Up
-- Where somebody was who is deleted: whoever comes back under one of those
-- hashes is put there again.
ALTER TABLE tombstones ADD COLUMN unit TEXT NOT NULL DEFAULT '';

-- What those sub-organizations were a part of that are removed: whoever was in
-- one comes back to what is left above it.
CREATE TABLE former_units (
    id     TEXT PRIMARY KEY,
    parent TEXT NOT NULL
);

-- Those that are frozen, by whom and why; closed: it is, or one above it.
ALTER TABLE units ADD COLUMN frozen_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE units ADD COLUMN frozen_by TEXT NOT NULL DEFAULT '';
ALTER TABLE units ADD COLUMN frozen_person TEXT NOT NULL DEFAULT '';
ALTER TABLE units ADD COLUMN frozen_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE units ADD COLUMN closed BOOLEAN NOT NULL DEFAULT FALSE;

-- When one was closed, for access as it was; until is 0 while it is.
CREATE TABLE units_closed (
    unit  TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (unit, since)
);
