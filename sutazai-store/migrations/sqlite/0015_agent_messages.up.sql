-- Messages between the agents of a waiting task and of its children, numbered in the order in which they were
-- written.
CREATE TABLE agent_messages (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    id             BLOB    NOT NULL UNIQUE,
    task_id        BLOB    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    correlation_id BLOB    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    type           TEXT    NOT NULL CHECK (type IN ('TASK', 'RESULT', 'ERROR', 'HEARTBEAT')),
    source         TEXT    NOT NULL,
    target         TEXT    NOT NULL,
    payload        TEXT    NOT NULL,
    timestamp      INTEGER NOT NULL
) STRICT;

-- Index entries end with the rowid, which is the number.
CREATE INDEX agent_messages_task ON agent_messages (task_id);
CREATE INDEX agent_messages_correlation ON agent_messages (correlation_id);
