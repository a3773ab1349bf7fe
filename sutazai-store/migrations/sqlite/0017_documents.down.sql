DROP TRIGGER chunks_added;
DROP TRIGGER chunks_deleted;
DROP TABLE chunk_words;
DROP TABLE chunks;
DROP TABLE documents;
