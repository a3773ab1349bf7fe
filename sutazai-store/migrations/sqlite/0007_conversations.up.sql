-- Conversations with models and their messages.
CREATE TABLE conversations (
    id         BLOB    NOT NULL PRIMARY KEY,
    -- Null for conversations or documents of the embedder.
    owner      BLOB    REFERENCES users (id) ON DELETE CASCADE,
    title      TEXT    NOT NULL,
    model      TEXT,
    system     TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX conversations_owner ON conversations (owner, id);

CREATE TABLE messages (
    id              BLOB    NOT NULL PRIMARY KEY,
    conversation_id BLOB    NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role            TEXT    NOT NULL,
    content         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    cut             INTEGER NOT NULL,
    -- JSON: model that wrote the message, with token counts.
    usage           TEXT
) STRICT;

CREATE INDEX messages_conversation ON messages (conversation_id, id);
