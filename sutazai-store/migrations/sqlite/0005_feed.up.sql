-- Event log: the events of all tasks in one order. Positions are never reused (AUTOINCREMENT), even if the
-- latest events are deleted, because a subscriber may have read up to them. The owner is that of the task, for
-- the index.
CREATE TABLE positioned_events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id  BLOB    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    owner    BLOB,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    UNIQUE (task_id, sequence)
) STRICT;

INSERT INTO positioned_events (task_id, sequence, owner, at, kind)
SELECT e.task_id, e.sequence, t.owner, e.at, e.kind
FROM task_events e JOIN tasks t ON t.id = e.task_id
ORDER BY e.at, e.task_id, e.sequence;

DROP TABLE task_events;
ALTER TABLE positioned_events RENAME TO task_events;

-- Index entries end with the rowid, which is the position.
CREATE INDEX task_events_owner ON task_events (owner) WHERE owner IS NOT NULL;
