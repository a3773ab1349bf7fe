-- Tasks with their history, and the events of tasks.
CREATE TYPE task_status AS ENUM ('pending', 'processing', 'completed', 'failed', 'cancelled');

CREATE TABLE tasks (
    id               uuid        NOT NULL CONSTRAINT tasks_id PRIMARY KEY,
    -- No reference to users, because an embedder may define its own owners.
    owner            uuid,
    parent_id        uuid REFERENCES tasks (id) ON DELETE SET NULL,
    worker           uuid,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    run_at           timestamptz NOT NULL,
    lease_until      timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    -- Sequence of the latest event. The next event takes the next number, so there are no gaps.
    last_sequence    bigint      NOT NULL DEFAULT 1,
    timeout_seconds  integer     NOT NULL,
    max_attempts     integer     NOT NULL,
    attempt          integer     NOT NULL DEFAULT 0,
    failures         integer     NOT NULL DEFAULT 0,
    waiting_for      integer     NOT NULL DEFAULT 0,
    status           task_status NOT NULL DEFAULT 'pending',
    priority         smallint    NOT NULL CHECK (priority BETWEEN 0 AND 9),
    cancel_requested boolean     NOT NULL DEFAULT false,
    -- True if another task waits for this one: it has open rows in task_waits.
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
    -- Every task is updated at least twice, so pages keep free space for new row versions, and dead ones are
    -- vacuumed early.
    fillfactor = 60,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

-- Tasks that a worker may claim, in the order of claims.
CREATE INDEX tasks_queue ON tasks (priority, run_at, id) WHERE status = 'pending' AND waiting_for = 0;
-- Claims whose lease may have expired.
CREATE INDEX tasks_leases ON tasks (lease_until) WHERE status = 'processing';
-- List of the tasks of a user, newest first.
CREATE INDEX tasks_owner ON tasks (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX tasks_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- No reference to tasks: it would be checked for each event, although every event is written in the transaction
-- of its task. A statement that deletes a task also deletes its events.
CREATE TABLE task_events (
    task_id  uuid        NOT NULL,
    sequence bigint      NOT NULL,
    at       timestamptz NOT NULL,
    kind     jsonb       NOT NULL,
    PRIMARY KEY (task_id, sequence)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Tasks that a task waits for, or last waited for, in the order of its request.
CREATE TABLE task_waits (
    parent_id uuid    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    position  integer NOT NULL,
    child_id  uuid    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    open      boolean NOT NULL,
    PRIMARY KEY (parent_id, position)
);

CREATE INDEX task_waits_child ON task_waits (child_id);
