-- Documents of users and their chunks.
CREATE TABLE documents (
    id         BLOB    NOT NULL PRIMARY KEY,
    -- None: the embedder's own.
    owner      BLOB    REFERENCES users (id) ON DELETE CASCADE,
    title      TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    size_bytes INTEGER NOT NULL,
    -- How many chunks it has.
    chunks     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX documents_owner ON documents (owner, id);

CREATE TABLE chunks (
    -- What the index of the words calls it; that takes numbers only.
    id          INTEGER NOT NULL PRIMARY KEY,
    document_id BLOB    NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    -- Which of the document's chunks it is: 0, 1, 2 ...
    number      INTEGER NOT NULL,
    -- Where it stands in the document's text, in characters.
    start_char  INTEGER NOT NULL,
    end_char    INTEGER NOT NULL,
    text        TEXT    NOT NULL,
    UNIQUE (document_id, number)
) STRICT;

-- In which chunks a word stands. The text itself is in the table alone. FTS5 could wipe out the bytes of what is deleted
-- ('secure-delete'), but takes some milliseconds for each chunk, in which nobody else can write.
CREATE VIRTUAL TABLE chunk_words USING fts5 (
    text,
    content = 'chunks',
    content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 0'
);

-- However a chunk comes and goes, deleted with its document or with its user: the index goes with it.
CREATE TRIGGER chunks_added AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER chunks_deleted AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words (chunk_words, rowid, text) VALUES ('delete', old.id, old.text);
END;
