-- +goose Up
-- Times are microseconds since 1970, UTC. A *_key column is its neighbour in
-- lower case, for look-ups where case does not matter.

CREATE TABLE organizations (
    name     TEXT PRIMARY KEY,
    disabled BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE connections (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (name),
    link         TEXT NOT NULL
);

CREATE TABLE people (
    seq                INTEGER PRIMARY KEY AUTOINCREMENT,
    id                 TEXT NOT NULL UNIQUE,
    connection         TEXT NOT NULL,
    organization       TEXT NOT NULL REFERENCES organizations (name),
    user_name          TEXT NOT NULL,
    user_name_key      TEXT NOT NULL,
    external_id        TEXT NOT NULL,
    link               TEXT NOT NULL,
    name               TEXT NOT NULL,
    name_key           TEXT NOT NULL,
    email              TEXT NOT NULL,
    email_key          TEXT NOT NULL,
    email_verified     BOOLEAN NOT NULL,
    provisioned        BOOLEAN NOT NULL,
    idp_active         BOOLEAN NOT NULL,
    deactivated_at     BIGINT NOT NULL DEFAULT 0,
    deactivated_by     TEXT NOT NULL DEFAULT '',
    deactivated_reason TEXT NOT NULL DEFAULT '',
    locked_at          BIGINT NOT NULL DEFAULT 0,
    locked_by          TEXT NOT NULL DEFAULT '',
    locked_reason      TEXT NOT NULL DEFAULT '',
    attributes         TEXT NOT NULL,
    version            BIGINT NOT NULL,
    created            BIGINT NOT NULL,
    modified           BIGINT NOT NULL,
    last_active        BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX people_user_name ON people (connection, user_name_key) WHERE provisioned;
CREATE INDEX people_link ON people (connection, link) WHERE link <> '';
CREATE INDEX people_connection ON people (connection, seq);
CREATE INDEX people_external_id ON people (connection, external_id);
CREATE INDEX people_name ON people (connection, name_key);
CREATE INDEX people_email ON people (connection, email_key);
CREATE INDEX people_anywhere ON people (user_name_key);

CREATE TABLE identities (
    connection TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    link       TEXT NOT NULL,
    person_id  TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created    BIGINT NOT NULL,
    PRIMARY KEY (connection, issuer, subject)
);
CREATE INDEX identities_link ON identities (connection, link);
CREATE INDEX identities_subject ON identities (subject);
CREATE INDEX identities_person ON identities (person_id);

CREATE TABLE assertions (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    received  BIGINT NOT NULL,
    complete  BOOLEAN NOT NULL,
    facts     TEXT NOT NULL
);
CREATE INDEX assertions_person ON assertions (person_id, seq);

CREATE TABLE pushed_groups (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    connection  TEXT NOT NULL,
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL,
    external_id TEXT NOT NULL,
    version     BIGINT NOT NULL,
    created     BIGINT NOT NULL,
    modified    BIGINT NOT NULL
);
CREATE UNIQUE INDEX pushed_groups_name ON pushed_groups (connection, name_key);
CREATE INDEX pushed_groups_connection ON pushed_groups (connection, seq);
CREATE INDEX pushed_groups_external_id ON pushed_groups (connection, external_id);

CREATE TABLE memberships (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id  TEXT NOT NULL REFERENCES pushed_groups (id) ON DELETE CASCADE,
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    UNIQUE (group_id, person_id)
);
CREATE INDEX memberships_person ON memberships (person_id);

-- Members that were pushed before the person they name.
CREATE TABLE parked_members (
    group_id   TEXT NOT NULL REFERENCES pushed_groups (id) ON DELETE CASCADE,
    connection TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (group_id, value)
);
CREATE INDEX parked_members_value ON parked_members (connection, value);

-- A burial is one deleted person: the hashes under which they are known.
CREATE TABLE tombstones (
    connection TEXT NOT NULL,
    hash       TEXT NOT NULL,
    burial     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (connection, hash, burial)
);
CREATE INDEX tombstones_burial ON tombstones (burial);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    token_hash   BLOB NOT NULL UNIQUE,
    person_id    TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    assertion_id TEXT NOT NULL,
    connection   TEXT NOT NULL,
    created      BIGINT NOT NULL,
    last_seen    BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    address      TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    id_token     BLOB NOT NULL,
    ended        BIGINT NOT NULL DEFAULT 0,
    end_reason   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sessions_person ON sessions (person_id);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE sign_in_attempts (
    state_hash   BLOB PRIMARY KEY,
    browser_hash BLOB NOT NULL,
    connection   TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    verifier     TEXT NOT NULL,
    return_to    TEXT NOT NULL,
    reference    TEXT NOT NULL,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL
);
CREATE INDEX sign_in_attempts_expires ON sign_in_attempts (expires);

CREATE TABLE scim_tokens (
    id         TEXT PRIMARY KEY,
    connection TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    note       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL DEFAULT 0,
    last_used  BIGINT NOT NULL DEFAULT 0,
    revoked    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX scim_tokens_connection ON scim_tokens (connection);

CREATE TABLE audit_events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         BIGINT NOT NULL,
    action     TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    address    TEXT NOT NULL,
    person     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    connection TEXT NOT NULL,
    reason     TEXT NOT NULL,
    reference  TEXT NOT NULL,
    detail     TEXT NOT NULL,
    sealed     BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX audit_events_person ON audit_events (person, seq);
CREATE INDEX audit_events_unsealed ON audit_events (seq) WHERE NOT sealed;

-- The hash chain, in the order of sealing.
CREATE TABLE audit_seals (
    position BIGINT PRIMARY KEY,
    event    BIGINT NOT NULL UNIQUE,
    hash     BLOB NOT NULL
);

-- What every replica must forget.
CREATE TABLE changes (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      BIGINT NOT NULL,
    person  TEXT NOT NULL,
    session TEXT NOT NULL,
    loss    BOOLEAN NOT NULL
);
CREATE INDEX changes_at ON changes (at);

-- The gate's own keys, wrapped by the key file.
CREATE TABLE keys (
    id      TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    created BIGINT NOT NULL,
    sealed  BLOB NOT NULL
);
