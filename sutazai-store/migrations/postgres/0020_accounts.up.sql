-- Refresh tokens that were exchanged for another: only one of these that comes back ends its session.
CREATE TABLE spent_refresh_tokens (
    session_id uuid        NOT NULL REFERENCES user_sessions (id) ON DELETE CASCADE,
    hash       text        NOT NULL,
    spent_at   timestamptz NOT NULL,
    CONSTRAINT spent_refresh_tokens_hash PRIMARY KEY (session_id, hash)
);

-- Sessions of deleted users: other servers have to learn that they ended.
CREATE TABLE deleted_sessions (
    id       uuid        NOT NULL CONSTRAINT deleted_sessions_id PRIMARY KEY,
    ended_at timestamptz NOT NULL
);

CREATE INDEX deleted_sessions_ended ON deleted_sessions (ended_at);

-- Invitations to register, known by their hash only. One that is used is removed.
CREATE TABLE invitations (
    id         uuid        NOT NULL CONSTRAINT invitations_id PRIMARY KEY,
    hash       text        NOT NULL CONSTRAINT invitations_hash UNIQUE,
    -- None: made at the command line.
    created_by uuid        REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX invitations_created_by ON invitations (created_by) WHERE created_by IS NOT NULL;

-- Every key ends: those that had no end have a year from now.
UPDATE api_keys SET expires_at = now() + interval '365 days' WHERE expires_at IS NULL;
