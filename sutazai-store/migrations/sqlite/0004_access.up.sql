-- API keys, stored as hashes; the user agent of each session; and an index of recently revoked sessions.
ALTER TABLE user_sessions ADD COLUMN user_agent TEXT;

CREATE INDEX user_sessions_revoked ON user_sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE api_keys (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,
    hash         TEXT    NOT NULL UNIQUE,
    -- JSON array of scopes, such as `["tasks:read"]`.
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE INDEX api_keys_user ON api_keys (user_id);
