DROP INDEX tasks_queue;

CREATE INDEX tasks_queue ON tasks (priority, run_at, id, agent) WHERE status = 'pending' AND waiting_for = 0;
