-- +goose Up
-- Who asked for a dry run, as the audit trail knows them, and the reference of
-- what came of it: whoever came by a setup link sees their own ones alone.
ALTER TABLE login_tests ADD COLUMN operator_id TEXT NOT NULL DEFAULT '';
ALTER TABLE login_tests ADD COLUMN reference TEXT NOT NULL DEFAULT '';
CREATE INDEX login_tests_operator ON login_tests (operator_id) WHERE operator_id <> '';
