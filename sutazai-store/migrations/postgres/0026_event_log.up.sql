-- The order of all events is the event log, and the key that deduplicates while a task is active is its active key.
ALTER TABLE feed RENAME TO event_log;
ALTER TABLE feed_begin RENAME TO event_log_begin;
ALTER TABLE event_log RENAME CONSTRAINT feed_position TO event_log_offset;
ALTER INDEX feed_owner RENAME TO event_log_owner;
ALTER INDEX queue_lanes RENAME TO queue_partitions;
ALTER TABLE tasks RENAME COLUMN standing_key TO active_key;
