-- A document is written and removed in parts, so that other writes need not wait for thousands of chunks. It can be read while it is
-- complete.
ALTER TABLE documents ADD COLUMN complete INTEGER NOT NULL DEFAULT 1;

CREATE INDEX documents_incomplete ON documents (created_at) WHERE NOT complete;
