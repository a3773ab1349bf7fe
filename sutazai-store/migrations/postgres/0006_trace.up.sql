-- The trace that the work continues: the fields of W3C traceparent, then after a blank the caller's own request id.
ALTER TABLE tasks ADD COLUMN trace text;
