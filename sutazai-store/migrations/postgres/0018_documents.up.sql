-- Documents of users and their chunks.
CREATE TABLE documents (
    id         uuid        NOT NULL CONSTRAINT documents_id PRIMARY KEY,
    -- Null for conversations or documents of the embedder.
    owner      uuid        REFERENCES users (id) ON DELETE CASCADE,
    title      text        NOT NULL,
    media_type text        NOT NULL,
    size_bytes bigint      NOT NULL,
    -- Number of chunks of the document.
    chunks     bigint      NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX documents_owner ON documents (owner, id);

CREATE TABLE chunks (
    document_id uuid     NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    -- Index of the chunk within the document: 0, 1, 2 ...
    number      bigint   NOT NULL,
    -- Position of the chunk in the text of the document, in characters.
    start_char  bigint   NOT NULL,
    end_char    bigint   NOT NULL,
    text        text     NOT NULL,
    -- Words of the chunk with their positions, and its owner, so that a search reads only the owner's part of
    -- the index. The program splits the words, so that all databases use the same rule: the parsers of
    -- PostgreSQL do not split paths and addresses.
    words       tsvector NOT NULL,
    CONSTRAINT chunks_number PRIMARY KEY (document_id, number)
);

CREATE INDEX chunks_words ON chunks USING gin (words);
