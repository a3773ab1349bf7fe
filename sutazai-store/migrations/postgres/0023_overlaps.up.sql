-- Overlap policy: handling of a due time while the task of an earlier one has not ended. Existing schedules keep
-- their behavior.
ALTER TABLE schedules ADD COLUMN overlap_policy text NOT NULL DEFAULT 'allow';
-- Task that the schedule last submitted.
ALTER TABLE schedules ADD COLUMN last_task uuid;
-- Due times that wait for that task to end: an array of seconds since 1970.
ALTER TABLE schedules ADD COLUMN queued text NOT NULL DEFAULT '[]';

CREATE INDEX schedules_queued ON schedules (id) WHERE queued <> '[]';
