DROP INDEX documents_upload_key;
ALTER TABLE documents DROP COLUMN upload_digest;
ALTER TABLE documents DROP COLUMN upload_key;
