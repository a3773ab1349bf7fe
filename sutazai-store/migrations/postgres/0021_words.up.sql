-- The form of words has changed: the program writes the words of all chunks anew.
SELECT 1;
