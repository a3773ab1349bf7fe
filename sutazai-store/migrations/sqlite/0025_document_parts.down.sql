DELETE FROM documents WHERE NOT complete;
DROP INDEX documents_incomplete;
ALTER TABLE documents DROP COLUMN begun_at;
ALTER TABLE documents DROP COLUMN complete;
