-- The words stay as they are, because words of ASCII letters have the same form in both versions.
SELECT 1;
