-- A document is written and removed in parts, so that other writes need not wait for thousands of chunks. It can be read while it is
-- complete.
ALTER TABLE documents ADD COLUMN complete INTEGER NOT NULL DEFAULT 1;
-- When its upload or removal was begun.
ALTER TABLE documents ADD COLUMN begun_at INTEGER;

CREATE INDEX documents_incomplete ON documents (begun_at) WHERE NOT complete;
