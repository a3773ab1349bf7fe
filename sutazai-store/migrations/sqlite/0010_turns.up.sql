-- What a worker may claim: the tasks of one owner, agent and priority stand together, in the order in which they are due.
DROP INDEX tasks_queue;

CREATE INDEX tasks_queue ON tasks (ifnull(owner, zeroblob(16)), agent, priority, run_at, id)
    WHERE status = 'pending' AND waiting_for = 0;
