DROP INDEX tasks_queue;

CREATE INDEX tasks_queue ON tasks (priority, run_at, id) WHERE status = 'pending' AND waiting_for = 0;
