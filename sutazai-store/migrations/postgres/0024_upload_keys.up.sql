-- Idempotency key of an upload, and the SHA-256 of its contents.
ALTER TABLE documents ADD COLUMN upload_key text;
ALTER TABLE documents ADD COLUMN upload_digest text;

CREATE UNIQUE INDEX documents_upload_key
ON documents (coalesce(owner, '00000000-0000-0000-0000-000000000000'), upload_key)
WHERE upload_key IS NOT NULL;
