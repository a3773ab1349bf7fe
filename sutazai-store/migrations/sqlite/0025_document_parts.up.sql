-- A document is written and deleted in parts, so that other writes do not wait for thousands of chunks. It can
-- be read only while it is complete.
ALTER TABLE documents ADD COLUMN complete INTEGER NOT NULL DEFAULT 1;
-- Time at which its upload or deletion began.
ALTER TABLE documents ADD COLUMN begun_at INTEGER;

CREATE INDEX documents_incomplete ON documents (begun_at) WHERE NOT complete;
