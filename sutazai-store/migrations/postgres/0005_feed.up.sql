-- Event log: the events of all tasks, ordered by the transaction that wrote them and by a number within it. The
-- owner is that of the task, for the index.
ALTER TABLE task_events
    ADD COLUMN owner       uuid,
    ADD COLUMN transaction xid8   NOT NULL DEFAULT pg_current_xact_id(),
    ADD COLUMN number      bigint NOT NULL GENERATED ALWAYS AS IDENTITY;

UPDATE task_events SET owner = tasks.owner FROM tasks WHERE tasks.id = task_id AND tasks.owner IS NOT NULL;

CREATE INDEX task_events_feed ON task_events (transaction, number);
CREATE INDEX task_events_owner ON task_events (owner, transaction, number) WHERE owner IS NOT NULL;
