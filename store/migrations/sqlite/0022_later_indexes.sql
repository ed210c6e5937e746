-- +goose Up
-- What is written with each push is found by these indexes, which nobody asks
-- within the next second. A row is added to them when it has been sealed, or
-- counted: many at a time, and not while somebody waits for a push. Until then
-- the rows are few, and have an index of their own.
DROP INDEX audit_events_person;
DROP INDEX audit_events_connection;
DROP INDEX audit_events_at;
CREATE INDEX audit_events_person ON audit_events (person, seq) WHERE sealed;
CREATE INDEX audit_events_connection ON audit_events (connection, seq) WHERE sealed;
CREATE INDEX audit_events_at ON audit_events (at) WHERE sealed;

DROP INDEX losses_scope;
DROP INDEX losses_member;
CREATE INDEX losses_scope ON losses (connection, group_id, at) WHERE NOT pending;
CREATE INDEX losses_member ON losses (member, seq) WHERE NOT pending;
