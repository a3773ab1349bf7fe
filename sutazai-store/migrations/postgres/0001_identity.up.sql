-- Users and their sessions. The *_key columns contain the text in lower case, so that it is unique regardless of
-- case.
CREATE TABLE users (
    id            uuid        NOT NULL CONSTRAINT users_id PRIMARY KEY,
    username      text        NOT NULL,
    username_key  text        NOT NULL CONSTRAINT users_username UNIQUE,
    email         text        NOT NULL,
    email_key     text        NOT NULL CONSTRAINT users_email UNIQUE,
    password_hash text        NOT NULL,
    role          text        NOT NULL CHECK (role IN ('user', 'admin')),
    disabled      boolean     NOT NULL,
    created_at    timestamptz NOT NULL,
    last_login_at timestamptz
);

CREATE TABLE user_sessions (
    id           uuid        NOT NULL CONSTRAINT user_sessions_id PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_hash text        NOT NULL,
    created_at   timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz
);

CREATE INDEX user_sessions_user ON user_sessions (user_id);
