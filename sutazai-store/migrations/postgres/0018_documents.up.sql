-- Documents of users and their chunks.
CREATE TABLE documents (
    id         uuid        NOT NULL CONSTRAINT documents_id PRIMARY KEY,
    -- None: the embedder's own.
    owner      uuid        REFERENCES users (id) ON DELETE CASCADE,
    title      text        NOT NULL,
    media_type text        NOT NULL,
    size_bytes bigint      NOT NULL,
    -- How many chunks it has.
    chunks     bigint      NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX documents_owner ON documents (owner, id);

CREATE TABLE chunks (
    document_id uuid     NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    -- Which of the document's chunks it is: 0, 1, 2 ...
    number      bigint   NOT NULL,
    -- Where it stands in the document's text, in characters.
    start_char  bigint   NOT NULL,
    end_char    bigint   NOT NULL,
    text        text     NOT NULL,
    -- Its words with their places, and whose it is, so that a search reads of the index what is one owner's. The words are split
    -- by the program, by the same rule for all databases: the parsers of PostgreSQL keep paths and addresses whole.
    words       tsvector NOT NULL,
    CONSTRAINT chunks_number PRIMARY KEY (document_id, number)
);

CREATE INDEX chunks_words ON chunks USING gin (words);
