-- The tokenizer has changed: the program indexes the words of all chunks again.
INSERT INTO chunk_words (chunk_words) VALUES ('delete-all');
