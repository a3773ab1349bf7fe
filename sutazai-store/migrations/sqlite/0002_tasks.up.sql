-- Tasks with their history, and the events of tasks. Times are nanoseconds since 1970, ids are the 16 bytes of a
-- UUID.
CREATE TABLE tasks (
    id               BLOB    NOT NULL PRIMARY KEY,
    -- No reference to users, because an embedder may define its own owners.
    owner            BLOB,
    agent            TEXT    NOT NULL,
    title            TEXT    NOT NULL,
    description      TEXT    NOT NULL,
    payload          TEXT    NOT NULL,
    priority         INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    timeout_seconds  INTEGER NOT NULL,
    max_attempts     INTEGER NOT NULL,
    run_at           INTEGER NOT NULL,
    idempotency_key  TEXT,
    status           TEXT    NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    attempt          INTEGER NOT NULL,
    failures         INTEGER NOT NULL,
    result           TEXT,
    error            TEXT,
    state            TEXT,
    parent_id        BLOB REFERENCES tasks (id) ON DELETE SET NULL,
    waiting_for      INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
    worker           BLOB,
    lease_until      INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    started_at       INTEGER,
    finished_at      INTEGER,
    -- Sequence of the latest event. The next event takes the next number, so there are no gaps.
    last_sequence    INTEGER NOT NULL,
    -- True if another task waits for this one: it has open rows in task_waits.
    awaited          INTEGER NOT NULL CHECK (awaited IN (0, 1))
) STRICT;

-- Tasks that a worker may claim, in the order of claims.
CREATE INDEX tasks_queue ON tasks (priority, run_at, id, agent) WHERE status = 'pending' AND waiting_for = 0;
-- Claims whose lease may have expired.
CREATE INDEX tasks_leases ON tasks (lease_until) WHERE status = 'processing';
-- List of the tasks of a user, newest first.
CREATE INDEX tasks_owner ON tasks (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX tasks_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency ON tasks (ifnull(owner, x''), idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE task_events (
    task_id  BLOB    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    PRIMARY KEY (task_id, sequence)
) STRICT, WITHOUT ROWID;

-- Tasks that a task waits for, or last waited for, in the order of its request.
CREATE TABLE task_waits (
    parent_id BLOB    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    child_id  BLOB    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    open      INTEGER NOT NULL CHECK (open IN (0, 1)),
    PRIMARY KEY (parent_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_waits_child ON task_waits (child_id);
