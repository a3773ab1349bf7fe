CREATE TABLE unpositioned_events (
    task_id  BLOB    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    PRIMARY KEY (task_id, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO unpositioned_events (task_id, sequence, at, kind) SELECT task_id, sequence, at, kind FROM task_events;

DROP TABLE task_events;
ALTER TABLE unpositioned_events RENAME TO task_events;
