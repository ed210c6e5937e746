-- +goose Up
-- The past of groups inside of groups, as of everything in 0003.
ALTER TABLE nested_groups ADD COLUMN since BIGINT NOT NULL DEFAULT 0;

CREATE TABLE nested_groups_history (
    group_id  TEXT NOT NULL,
    member_id TEXT NOT NULL,
    since     BIGINT NOT NULL,
    until     BIGINT NOT NULL
);
CREATE INDEX nested_groups_history_member ON nested_groups_history (member_id, until);
