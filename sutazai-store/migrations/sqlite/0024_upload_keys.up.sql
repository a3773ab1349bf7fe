-- Idempotency key of an upload, and the SHA-256 of its contents.
ALTER TABLE documents ADD COLUMN upload_key TEXT;
ALTER TABLE documents ADD COLUMN upload_digest TEXT;

CREATE UNIQUE INDEX documents_upload_key ON documents (ifnull(owner, x''), upload_key)
WHERE upload_key IS NOT NULL;
