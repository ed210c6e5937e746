-- +goose Up
-- The language in which somebody reads our pages: its tag, nothing for that of
-- their browser.
ALTER TABLE console_preferences ADD COLUMN language TEXT NOT NULL DEFAULT '';
