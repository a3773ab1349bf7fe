ALTER TABLE event_log_begin RENAME TO feed_begin;
