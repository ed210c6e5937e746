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
