-- Spent refresh tokens: the reuse of one ends its session.
CREATE TABLE spent_refresh_tokens (
    session_id BLOB    NOT NULL REFERENCES user_sessions (id) ON DELETE CASCADE,
    hash       TEXT    NOT NULL,
    spent_at   INTEGER NOT NULL,
    PRIMARY KEY (session_id, hash)
) STRICT, WITHOUT ROWID;

-- Revoked sessions of deleted users, which the revocation poller of other servers reads.
CREATE TABLE deleted_sessions (
    id       BLOB    NOT NULL PRIMARY KEY,
    ended_at INTEGER NOT NULL
) STRICT;

CREATE INDEX deleted_sessions_ended ON deleted_sessions (ended_at);

-- Invitations to register, stored as hashes. A used invitation is deleted.
CREATE TABLE invitations (
    id         BLOB    NOT NULL PRIMARY KEY,
    hash       TEXT    NOT NULL UNIQUE,
    -- Null if it was created on the command line.
    created_by BLOB    REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX invitations_created_by ON invitations (created_by) WHERE created_by IS NOT NULL;

-- Every key expires: keys without an expiry get one year from now, in nanoseconds.
UPDATE api_keys SET expires_at = (unixepoch() + 365 * 86400) * 1000000000 WHERE expires_at IS NULL;
