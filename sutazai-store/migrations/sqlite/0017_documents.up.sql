-- Documents of users and their chunks.
CREATE TABLE documents (
    id         BLOB    NOT NULL PRIMARY KEY,
    -- Null for conversations or documents of the embedder.
    owner      BLOB    REFERENCES users (id) ON DELETE CASCADE,
    title      TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    size_bytes INTEGER NOT NULL,
    -- Number of chunks of the document.
    chunks     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX documents_owner ON documents (owner, id);

CREATE TABLE chunks (
    -- Row number for the full-text index, which supports only numbers.
    id          INTEGER NOT NULL PRIMARY KEY,
    document_id BLOB    NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    -- Index of the chunk within the document: 0, 1, 2 ...
    number      INTEGER NOT NULL,
    -- Position of the chunk in the text of the document, in characters.
    start_char  INTEGER NOT NULL,
    end_char    INTEGER NOT NULL,
    text        TEXT    NOT NULL,
    UNIQUE (document_id, number)
) STRICT;

-- Full-text index of the chunks; the text itself is only in the table. FTS5 could overwrite deleted bytes
-- ('secure-delete'), but that takes some milliseconds for each chunk, in which no other write is possible.
CREATE VIRTUAL TABLE chunk_words USING fts5 (
    text,
    content = 'chunks',
    content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 0'
);

-- Triggers keep the index consistent when chunks are inserted, or deleted with their document or user.
CREATE TRIGGER chunks_added AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER chunks_deleted AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words (chunk_words, rowid, text) VALUES ('delete', old.id, old.text);
END;
