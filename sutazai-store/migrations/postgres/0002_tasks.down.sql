DROP TABLE task_waits;
DROP TABLE task_events;
DROP TABLE tasks;
DROP TYPE task_status;
