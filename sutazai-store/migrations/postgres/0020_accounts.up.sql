-- Spent refresh tokens: the reuse of one ends its session.
CREATE TABLE spent_refresh_tokens (
    session_id uuid        NOT NULL REFERENCES user_sessions (id) ON DELETE CASCADE,
    hash       text        NOT NULL,
    spent_at   timestamptz NOT NULL,
    CONSTRAINT spent_refresh_tokens_hash PRIMARY KEY (session_id, hash)
);

-- Revoked sessions of deleted users, which the revocation poller of other servers reads.
CREATE TABLE deleted_sessions (
    id       uuid        NOT NULL CONSTRAINT deleted_sessions_id PRIMARY KEY,
    ended_at timestamptz NOT NULL
);

CREATE INDEX deleted_sessions_ended ON deleted_sessions (ended_at);

-- Invitations to register, stored as hashes. A used invitation is deleted.
CREATE TABLE invitations (
    id         uuid        NOT NULL CONSTRAINT invitations_id PRIMARY KEY,
    hash       text        NOT NULL CONSTRAINT invitations_hash UNIQUE,
    -- Null if it was created on the command line.
    created_by uuid        REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX invitations_created_by ON invitations (created_by) WHERE created_by IS NOT NULL;

-- Every key expires: keys without an expiry get one year from now.
UPDATE api_keys SET expires_at = now() + interval '365 days' WHERE expires_at IS NULL;
