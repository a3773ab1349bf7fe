-- Tasks that a worker may claim, grouped by owner, agent and priority, in the order of their due times.
DROP INDEX tasks_queue;

CREATE INDEX tasks_queue ON tasks (ifnull(owner, zeroblob(16)), agent, priority, run_at, id)
    WHERE status = 'pending' AND waiting_for = 0;
