DROP INDEX schedules_queued;
ALTER TABLE schedules DROP COLUMN queued;
ALTER TABLE schedules DROP COLUMN last_task;
ALTER TABLE schedules DROP COLUMN overlap_policy;
