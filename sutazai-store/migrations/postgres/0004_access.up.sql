-- API keys, known by their hash only; what a session's program calls itself; and which sessions ended of late.
ALTER TABLE user_sessions ADD COLUMN user_agent text;

CREATE INDEX user_sessions_revoked ON user_sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE api_keys (
    id           uuid        NOT NULL CONSTRAINT api_keys_id PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text        NOT NULL,
    prefix       text        NOT NULL,
    hash         text        NOT NULL CONSTRAINT api_keys_hash UNIQUE,
    -- An array, as in `["tasks:read"]`.
    scopes       jsonb       NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz
);

CREATE INDEX api_keys_user ON api_keys (user_id);
