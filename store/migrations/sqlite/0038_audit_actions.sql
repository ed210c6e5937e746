-- +goose Up
-- Every action has the index, for one that is everyday may be rare lately. An
-- event joins it when it is sealed, as it joins the others, and not while
-- somebody waits: what an event is not, was longer to tell than to write it.
DROP INDEX audit_events_rare;
CREATE INDEX audit_events_action ON audit_events (action, seq) WHERE sealed;
