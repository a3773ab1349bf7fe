-- Trace that the task continues: the fields of W3C traceparent, then a space and the caller's own request id.
ALTER TABLE tasks ADD COLUMN trace TEXT;
