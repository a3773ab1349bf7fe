ALTER TABLE conversations DROP COLUMN message_bytes;
ALTER TABLE conversations DROP COLUMN message_count;
