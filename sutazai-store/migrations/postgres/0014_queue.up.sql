-- What changes in a task's life stands in no index, and at the end of its row: so PostgreSQL writes a change beside the old
-- row, touches no index, and logs little more than what has changed. What is pending, what is held, and the order of all
-- events have narrow tables of their own.
CREATE TABLE tasks_new (
    id               uuid        NOT NULL,
    -- No reference to users: an embedder may have owners of its own.
    owner            uuid,
    parent_id        uuid,
    created_at       timestamptz NOT NULL,
    timeout_seconds  integer     NOT NULL,
    max_attempts     integer     NOT NULL,
    priority         smallint    NOT NULL CHECK (priority BETWEEN 0 AND 9),
    agent            text        NOT NULL,
    title            text        NOT NULL,
    description      text        NOT NULL,
    idempotency_key  text,
    -- A key of which only one task of an owner and an agent is pending or processing at a time.
    unique_key       text,
    -- The trace that the work continues: the fields of W3C traceparent, then after a blank the caller's own request id.
    trace            text,
    payload          jsonb       NOT NULL,
    -- The unique key while the task is pending or processing.
    standing_key     text,
    run_at           timestamptz NOT NULL,
    worker           uuid,
    updated_at       timestamptz NOT NULL,
    lease_until      timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    -- The transaction in which it ended.
    ended_in         xid8,
    -- The sequence of the latest event: the next one takes the number after it, so there are no gaps.
    last_sequence    bigint      NOT NULL DEFAULT 1,
    attempt          integer     NOT NULL DEFAULT 0,
    failures         integer     NOT NULL DEFAULT 0,
    waiting_for      integer     NOT NULL DEFAULT 0,
    status           task_status NOT NULL DEFAULT 'pending',
    cancel_requested boolean     NOT NULL DEFAULT false,
    -- Another task waits for this one: it has open rows in task_waits.
    awaited          boolean     NOT NULL,
    result           jsonb,
    error            jsonb,
    state            jsonb,
    -- The statuses that the task has entered since it was added, a line each:
    -- [sequence, microseconds since 1970, status, attempt, error or null].
    history          text        NOT NULL DEFAULT ''
) WITH (
    -- A task changes twice or more in its short life: leave room beside it, and clear away early what it was.
    fillfactor = 35,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

INSERT INTO tasks_new (id, owner, parent_id, created_at, timeout_seconds, max_attempts, priority, agent, title,
    description, idempotency_key, unique_key, trace, payload, standing_key, run_at, worker, updated_at, lease_until,
    started_at, finished_at, last_sequence, attempt, failures, waiting_for, status, cancel_requested, awaited, result,
    error, state, ended_in, history)
SELECT id, owner, parent_id, created_at, timeout_seconds, max_attempts, priority, agent, title,
    description, idempotency_key, unique_key, trace, payload,
    CASE WHEN status IN ('pending', 'processing') THEN unique_key END, run_at, worker, updated_at, lease_until,
    started_at, finished_at, last_sequence, attempt, failures, waiting_for, status, cancel_requested, awaited, result,
    error, state, CASE WHEN status NOT IN ('pending', 'processing') THEN told.ended_in END, coalesce(told.history, '')
FROM tasks LEFT JOIN (
    SELECT task_id, max(transaction::text::bigint)::text::xid8 AS ended_in,
        string_agg(jsonb_build_array(sequence, (extract(epoch FROM at) * 1000000)::bigint, kind->'status',
                kind->'attempt', kind->'error')::text || E'\n', '' ORDER BY sequence) FILTER (WHERE sequence > 1)
            AS history
    FROM task_events WHERE kind->>'type' = 'status' GROUP BY task_id
) AS told ON told.task_id = tasks.id;

ALTER TABLE task_waits DROP CONSTRAINT task_waits_parent_id_fkey, DROP CONSTRAINT task_waits_child_id_fkey;
DROP TABLE tasks;
ALTER TABLE tasks_new RENAME TO tasks;
ALTER TABLE tasks RENAME CONSTRAINT tasks_new_priority_check TO tasks_priority_check;
ALTER TABLE tasks ADD CONSTRAINT tasks_id PRIMARY KEY (id);
ALTER TABLE tasks ADD CONSTRAINT tasks_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES tasks (id) ON DELETE SET NULL;
ALTER TABLE task_waits
    ADD CONSTRAINT task_waits_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES tasks (id) ON DELETE CASCADE,
    ADD CONSTRAINT task_waits_child_id_fkey FOREIGN KEY (child_id) REFERENCES tasks (id) ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED;

-- A user's listing, newest first.
CREATE INDEX tasks_owner ON tasks (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX tasks_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX tasks_unique_key
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, standing_key)
    WHERE standing_key IS NOT NULL;

-- What a worker may claim: a row for each task that is pending and waits for no other, nil for nobody's. The tasks of one
-- owner, agent and priority stand together, in the order in which they are due.
CREATE TABLE queue (
    owner    uuid        NOT NULL,
    agent    text        NOT NULL,
    priority smallint    NOT NULL,
    run_at   timestamptz NOT NULL,
    task     uuid        NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

INSERT INTO queue (owner, agent, priority, run_at, task)
SELECT coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, priority, run_at, id
FROM tasks WHERE status = 'pending' AND waiting_for = 0 ORDER BY 1, 2, 3, 4, 5;

CREATE INDEX queue_lanes ON queue (owner, agent, priority, run_at, task);

-- When to look whether these tasks are still held: a row for each claim and each renewal. A task that is processing is in
-- one of them at the end of its lease, whatever else is.
CREATE TABLE leases (
    id    bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    until timestamptz NOT NULL,
    tasks uuid[]      NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE leases ALTER COLUMN tasks SET STORAGE EXTERNAL;

INSERT INTO leases (until, tasks)
SELECT lease_until, array_agg(id) FROM tasks WHERE status = 'processing' GROUP BY lease_until;

ALTER TABLE leases ADD CONSTRAINT leases_id PRIMARY KEY (id);
CREATE INDEX leases_until ON leases (until);

-- The events of all tasks in one order: a row for those that one statement wrote of one owner's tasks. What happened is
-- told by the history of the task or by its row in task_events; the first event is that the task was added.
CREATE TABLE feed (
    transaction xid8   NOT NULL DEFAULT pg_current_xact_id(),
    number      bigint NOT NULL GENERATED ALWAYS AS IDENTITY (MAXVALUE 549755813887 CYCLE),
    owner       uuid,
    tasks       uuid[] NOT NULL,
    sequences   bigint[] NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE feed ALTER COLUMN tasks SET STORAGE EXTERNAL, ALTER COLUMN sequences SET STORAGE EXTERNAL;

INSERT INTO feed (transaction, owner, tasks, sequences)
SELECT transaction, owner, array_agg(task_id ORDER BY number), array_agg(sequence ORDER BY number)
FROM task_events GROUP BY transaction, owner ORDER BY transaction, min(number);

ALTER TABLE feed ADD CONSTRAINT feed_position PRIMARY KEY (transaction, number);
CREATE INDEX feed_owner ON feed (owner, transaction, number) WHERE owner IS NOT NULL;

-- Within a transaction the events have new numbers: of the last one that was passed on, all are passed on again.
UPDATE relay SET position = (trunc(position::numeric / 18446744073709551616) * 18446744073709551616)::text;
ALTER TABLE feed_begin ADD COLUMN place bigint NOT NULL DEFAULT 0;
ALTER TABLE feed_begin ALTER COLUMN place DROP DEFAULT;
UPDATE feed_begin SET number = 0;

DELETE FROM task_events WHERE kind->>'type' = 'status';
DROP INDEX task_events_feed, task_events_owner;
ALTER TABLE task_events DROP COLUMN owner, DROP COLUMN transaction, DROP COLUMN number;
