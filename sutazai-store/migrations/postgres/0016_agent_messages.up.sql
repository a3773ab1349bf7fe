-- Messages between the agents of a waiting task and of its children, numbered in the order in which they were
-- written. No reference to tasks, because a transaction that locks one task and writes about another would wait
-- for the other. A statement that deletes a task also deletes its messages.
CREATE TABLE agent_messages (
    id             uuid        NOT NULL CONSTRAINT agent_messages_id PRIMARY KEY,
    number         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    task_id        uuid        NOT NULL,
    correlation_id uuid        NOT NULL,
    type           text        NOT NULL CHECK (type IN ('TASK', 'RESULT', 'ERROR', 'HEARTBEAT')),
    source         text        NOT NULL,
    target         text        NOT NULL,
    payload        jsonb       NOT NULL,
    timestamp      timestamptz NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX agent_messages_task ON agent_messages (task_id, number);
CREATE INDEX agent_messages_correlation ON agent_messages (correlation_id, number);
