-- API keys, stored as hashes; the user agent of each session; and an index of recently revoked sessions.
ALTER TABLE user_sessions ADD COLUMN user_agent text;

CREATE INDEX user_sessions_revoked ON user_sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE api_keys (
    id           uuid        NOT NULL CONSTRAINT api_keys_id PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text        NOT NULL,
    prefix       text        NOT NULL,
    hash         text        NOT NULL CONSTRAINT api_keys_hash UNIQUE,
    -- Array of scopes, such as `["tasks:read"]`.
    scopes       jsonb       NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz
);

CREATE INDEX api_keys_user ON api_keys (user_id);
