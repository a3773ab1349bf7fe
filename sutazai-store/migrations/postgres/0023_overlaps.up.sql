-- What happens at a time of a schedule while the task of an earlier time has not ended. Those that are there go on as before.
ALTER TABLE schedules ADD COLUMN overlap_policy text NOT NULL DEFAULT 'allow';
-- The task that it asked for last.
ALTER TABLE schedules ADD COLUMN last_task uuid;
-- Times that wait for that task to end: an array of seconds since 1970.
ALTER TABLE schedules ADD COLUMN queued text NOT NULL DEFAULT '[]';

CREATE INDEX schedules_queued ON schedules (id) WHERE queued <> '[]';
