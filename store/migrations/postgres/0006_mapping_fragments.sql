-- +goose Up
-- Fragments of the mapping have revisions of their own: one text each, which
-- is brought and taken back alone.

-- The connection of which a revision is the fragment; empty for a whole mapping.
ALTER TABLE mapping_revisions ADD COLUMN fragment TEXT NOT NULL DEFAULT '';

-- The connection of which a text is the fragment; empty for a text of all.
ALTER TABLE mapping_contents ADD COLUMN connection TEXT NOT NULL DEFAULT '';
CREATE INDEX mapping_contents_connection ON mapping_contents (connection, revision);

-- The number of the fragment's revision that an application brought alone;
-- 0 for a whole mapping. counts of what came by a file are filled in once,
-- when everybody was counted.
ALTER TABLE mapping_applications ADD COLUMN part BIGINT NOT NULL DEFAULT 0;
