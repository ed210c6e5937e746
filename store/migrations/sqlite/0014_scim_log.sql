-- +goose Up
-- Entries are as old as their order says, and each request writes one.
DROP INDEX scim_log_at;
