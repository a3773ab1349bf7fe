DELETE FROM documents WHERE NOT complete;
DROP INDEX documents_incomplete;
ALTER TABLE documents DROP COLUMN complete;
