-- The words stay as they are: those of ASCII letters had the same form before.
SELECT 1;
