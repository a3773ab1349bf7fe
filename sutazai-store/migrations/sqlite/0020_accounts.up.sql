-- Refresh tokens that were exchanged for another: only one of these that comes back ends its session.
CREATE TABLE spent_refresh_tokens (
    session_id BLOB    NOT NULL REFERENCES user_sessions (id) ON DELETE CASCADE,
    hash       TEXT    NOT NULL,
    spent_at   INTEGER NOT NULL,
    PRIMARY KEY (session_id, hash)
) STRICT, WITHOUT ROWID;

-- Sessions of deleted users: other servers have to learn that they ended.
CREATE TABLE deleted_sessions (
    id       BLOB    NOT NULL PRIMARY KEY,
    ended_at INTEGER NOT NULL
) STRICT;

CREATE INDEX deleted_sessions_ended ON deleted_sessions (ended_at);

-- Invitations to register, known by their hash only. One that is used is removed.
CREATE TABLE invitations (
    id         BLOB    NOT NULL PRIMARY KEY,
    hash       TEXT    NOT NULL UNIQUE,
    -- None: made at the command line.
    created_by BLOB    REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX invitations_created_by ON invitations (created_by) WHERE created_by IS NOT NULL;

-- Every key ends: those that had no end have a year from now. Instants are nanoseconds.
UPDATE api_keys SET expires_at = (unixepoch() + 365 * 86400) * 1000000000 WHERE expires_at IS NULL;
