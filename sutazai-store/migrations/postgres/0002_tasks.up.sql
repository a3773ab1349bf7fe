-- The queue, the record and the events.
CREATE TYPE task_status AS ENUM ('pending', 'processing', 'completed', 'failed', 'cancelled');

CREATE TABLE tasks (
    id               uuid        NOT NULL CONSTRAINT tasks_id PRIMARY KEY,
    -- No reference to users: an embedder may have owners of its own.
    owner            uuid,
    parent_id        uuid REFERENCES tasks (id) ON DELETE SET NULL,
    worker           uuid,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    run_at           timestamptz NOT NULL,
    lease_until      timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    -- The sequence of the latest event: the next one takes the number after it, so there are no gaps.
    last_sequence    bigint      NOT NULL DEFAULT 1,
    timeout_seconds  integer     NOT NULL,
    max_attempts     integer     NOT NULL,
    attempt          integer     NOT NULL DEFAULT 0,
    failures         integer     NOT NULL DEFAULT 0,
    waiting_for      integer     NOT NULL DEFAULT 0,
    status           task_status NOT NULL DEFAULT 'pending',
    priority         smallint    NOT NULL CHECK (priority BETWEEN 0 AND 9),
    cancel_requested boolean     NOT NULL DEFAULT false,
    -- Another task waits for this one: it has open rows in task_waits.
    awaited          boolean     NOT NULL,
    agent            text        NOT NULL,
    title            text        NOT NULL,
    description      text        NOT NULL,
    idempotency_key  text,
    payload          jsonb       NOT NULL,
    result           jsonb,
    error            jsonb,
    state            jsonb
) WITH (
    -- A task changes twice or more in its short life: leave room beside it, and clear away early what it was.
    fillfactor = 60,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

-- What a worker may claim, in the order in which it is claimed.
CREATE INDEX tasks_queue ON tasks (priority, run_at, id) WHERE status = 'pending' AND waiting_for = 0;
-- What dead workers hold.
CREATE INDEX tasks_leases ON tasks (lease_until) WHERE status = 'processing';
-- A user's listing, newest first.
CREATE INDEX tasks_owner ON tasks (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX tasks_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- No reference to tasks: it would be looked up again for each event, and every event is written in the same
-- transaction as its task. Who deletes a task deletes its events.
CREATE TABLE task_events (
    task_id  uuid        NOT NULL,
    sequence bigint      NOT NULL,
    at       timestamptz NOT NULL,
    kind     jsonb       NOT NULL,
    PRIMARY KEY (task_id, sequence)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

-- What a task waits for, or waited for last, in the order in which it asked.
CREATE TABLE task_waits (
    parent_id uuid    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    position  integer NOT NULL,
    child_id  uuid    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    open      boolean NOT NULL,
    PRIMARY KEY (parent_id, position)
);

CREATE INDEX task_waits_child ON task_waits (child_id);
