DROP INDEX task_events_owner;
DROP INDEX task_events_feed;
ALTER TABLE task_events DROP COLUMN number, DROP COLUMN transaction, DROP COLUMN owner;
