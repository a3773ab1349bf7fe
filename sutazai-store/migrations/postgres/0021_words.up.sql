-- The tokenizer has changed: the program indexes the words of all chunks again.
SELECT 1;
