-- +goose Up
-- Every index is written with every person that is pushed. These serve what
-- others serve as well: pushed people have people_pushed and nobody else is
-- listed by connection; whoever was made after a time was modified after it
-- (people_modified); a userName without its connection is what an operator
-- types, whose e-mail address is looked for in the same way.
DROP INDEX people_connection;
DROP INDEX people_created;
DROP INDEX people_anywhere;

-- The link value is the externalId by default, which has an index.
DROP INDEX people_link;
CREATE INDEX people_link ON people (connection, link) WHERE link <> '' AND link <> external_id;

-- Few losses are part of a mass loss.
DROP INDEX losses_mass;
CREATE INDEX losses_mass ON losses (mass, seq) WHERE mass <> 0;

-- Changes are as old as their order says.
DROP INDEX changes_at;
