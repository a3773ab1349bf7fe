-- The words of chunks begin with their owner: 32 hexadecimal digits of the id, all zero for no owner. A search
-- therefore reads no index entries of other owners, and its duration reveals nothing about them. The program
-- splits texts into words; the words of existing chunks are taken from the previous index. The index has no copy
-- of the texts, and deletes by number.
CREATE VIRTUAL TABLE owned_words USING fts5 (
    words,
    content = '',
    contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 0'
);

CREATE VIRTUAL TABLE temp.chunk_terms USING fts5vocab (main, chunk_words, instance);

INSERT INTO owned_words (rowid, words)
SELECT chunks.id, group_concat(lower(hex(ifnull(documents.owner, zeroblob(16)))) || chunk_terms.term, ' ')
FROM temp.chunk_terms
JOIN chunks ON chunks.id = chunk_terms.doc
JOIN documents ON documents.id = chunks.document_id
GROUP BY chunks.id;

DROP TABLE temp.chunk_terms;
DROP TRIGGER chunks_added;
DROP TRIGGER chunks_deleted;
DROP TABLE chunk_words;
ALTER TABLE owned_words RENAME TO chunk_words;

-- Keeps the index consistent when a chunk is deleted with its document or user.
CREATE TRIGGER chunks_deleted AFTER DELETE ON chunks BEGIN
    DELETE FROM chunk_words WHERE rowid = old.id;
END;
