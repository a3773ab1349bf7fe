-- Columns that change after the insert are in no index and at the end of the row. PostgreSQL therefore writes a
-- new row version to the same page (HOT update), updates no index, and logs little more than the changed bytes.
-- Pending tasks, leases and the event log have narrow tables of their own.
CREATE TABLE tasks_new (
    id               uuid        NOT NULL,
    -- No reference to users, because an embedder may define its own owners.
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
    -- Unique key: at most one task of an owner and an agent with this key is pending or processing.
    unique_key       text,
    -- Trace that the task continues: the fields of W3C traceparent, then a space and the caller's own request
    -- id.
    trace            text,
    payload          jsonb       NOT NULL,
    -- Active key: the unique key while the task is pending or processing.
    standing_key     text,
    run_at           timestamptz NOT NULL,
    worker           uuid,
    updated_at       timestamptz NOT NULL,
    lease_until      timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    -- Transaction in which the task ended.
    ended_in         xid8,
    -- Sequence of the latest event. The next event takes the next number, so there are no gaps.
    last_sequence    bigint      NOT NULL DEFAULT 1,
    attempt          integer     NOT NULL DEFAULT 0,
    failures         integer     NOT NULL DEFAULT 0,
    waiting_for      integer     NOT NULL DEFAULT 0,
    status           task_status NOT NULL DEFAULT 'pending',
    cancel_requested boolean     NOT NULL DEFAULT false,
    -- True if another task waits for this one: it has open rows in task_waits.
    awaited          boolean     NOT NULL,
    result           jsonb,
    error            jsonb,
    state            jsonb,
    -- History of the statuses since the task was created, one line each: [sequence, microseconds since 1970,
    -- status, attempt, error or null].
    history          text        NOT NULL DEFAULT ''
) WITH (
    -- Every task is updated at least twice, so pages keep free space for new row versions, and dead ones are
    -- vacuumed early.
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

-- List of the tasks of a user, newest first.
CREATE INDEX tasks_owner ON tasks (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX tasks_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX tasks_unique_key
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, standing_key)
    WHERE standing_key IS NOT NULL;

-- Tasks that a worker may claim: one row per pending task that waits for no other task; the nil UUID stands for
-- no owner. Tasks are grouped by owner, agent and priority, in the order of their due times.
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

-- Lease expiries: one row per claim and per renewal, with its tasks. The reaper checks these tasks at that time.
-- For every processing task a row with the end of its lease exists; rows of renewed or ended tasks may exist
-- too.
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

-- Event log: one row for the events that one statement wrote for the tasks of one owner. The contents of an
-- event are in the history of its task or in task_events; the first event of a task is its creation.
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

-- Events have new numbers within their transaction, so the events of the last published transaction are
-- published again.
UPDATE relay SET position = (trunc(position::numeric / 18446744073709551616) * 18446744073709551616)::text;
ALTER TABLE feed_begin ADD COLUMN place bigint NOT NULL DEFAULT 0;
ALTER TABLE feed_begin ALTER COLUMN place DROP DEFAULT;
UPDATE feed_begin SET number = 0;

DELETE FROM task_events WHERE kind->>'type' = 'status';
DROP INDEX task_events_feed, task_events_owner;
ALTER TABLE task_events DROP COLUMN owner, DROP COLUMN transaction, DROP COLUMN number;
