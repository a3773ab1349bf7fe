ALTER TABLE tasks RENAME COLUMN active_key TO standing_key;
ALTER INDEX queue_partitions RENAME TO queue_lanes;
ALTER INDEX event_log_owner RENAME TO feed_owner;
ALTER TABLE event_log RENAME CONSTRAINT event_log_offset TO feed_position;
ALTER TABLE event_log_begin RENAME TO feed_begin;
ALTER TABLE event_log RENAME TO feed;
