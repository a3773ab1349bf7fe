-- The previous index: words of one owner after 32 digits, as the tokenizer of FTS5 splits texts.
CREATE VIRTUAL TABLE split_words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 0');
INSERT INTO split_words (rowid, text) SELECT id, text FROM chunks;
CREATE VIRTUAL TABLE temp.chunk_terms USING fts5vocab (main, split_words, instance);

INSERT INTO chunk_words (chunk_words) VALUES ('delete-all');
INSERT INTO chunk_words (rowid, words)
SELECT chunks.id, group_concat(lower(hex(ifnull(documents.owner, zeroblob(16)))) || chunk_terms.term, ' ')
FROM temp.chunk_terms
JOIN chunks ON chunks.id = chunk_terms.doc
JOIN documents ON documents.id = chunks.document_id
GROUP BY chunks.id;

DROP TABLE temp.chunk_terms;
DROP TABLE split_words;
