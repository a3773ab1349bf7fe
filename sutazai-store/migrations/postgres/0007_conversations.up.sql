-- Conversations with models and their messages.
CREATE TABLE conversations (
    id         uuid        NOT NULL CONSTRAINT conversations_id PRIMARY KEY,
    -- Null for conversations or documents of the embedder.
    owner      uuid        REFERENCES users (id) ON DELETE CASCADE,
    title      text        NOT NULL,
    model      text,
    system     text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX conversations_owner ON conversations (owner, id);

CREATE TABLE messages (
    id              uuid        NOT NULL CONSTRAINT messages_id PRIMARY KEY,
    conversation_id uuid        NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role            text        NOT NULL,
    content         text        NOT NULL,
    created_at      timestamptz NOT NULL,
    cut             boolean     NOT NULL,
    -- Model that wrote the message, with token counts.
    usage           jsonb
);

CREATE INDEX messages_conversation ON messages (conversation_id, id);
