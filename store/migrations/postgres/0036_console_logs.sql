-- +goose Up
-- What was refused of one connection, in the order of the log: it may be few.
CREATE INDEX scim_log_refused_log ON scim_log (connection, seq) WHERE status >= 400;

-- What happened at a time is found by the numbers of that time.
DROP INDEX audit_events_at;
