-- The form of words in the index has changed: the program puts the words of all chunks into it anew.
INSERT INTO chunk_words (chunk_words) VALUES ('delete-all');
