-- The order of all events is the event log.
ALTER TABLE feed_begin RENAME TO event_log_begin;
