CREATE TABLE task_events_old (
    task_id     uuid        NOT NULL,
    sequence    bigint      NOT NULL,
    at          timestamptz NOT NULL,
    kind        jsonb       NOT NULL,
    owner       uuid,
    transaction xid8        NOT NULL DEFAULT pg_current_xact_id(),
    number      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

INSERT INTO task_events_old (task_id, sequence, at, kind, owner, transaction)
SELECT told.task_id, told.sequence, told.at, told.kind, feed.owner, feed.transaction
FROM feed CROSS JOIN LATERAL unnest(feed.tasks, feed.sequences) WITH ORDINALITY AS event (task_id, sequence, place)
JOIN (
    SELECT task_id, sequence, at, kind FROM task_events
    UNION ALL
    SELECT id, 1, created_at, '{"type": "status", "status": "pending", "attempt": 0}'::jsonb FROM tasks
    UNION ALL
    SELECT id, (entry->>0)::bigint, to_timestamp((entry->>1)::bigint / 1000000) + (entry->>1)::bigint % 1000000 * interval '1 us',
        jsonb_strip_nulls(jsonb_build_object('type', 'status', 'status', entry->2, 'attempt', entry->3))
            || CASE WHEN entry->4 = 'null' THEN '{}' ELSE jsonb_build_object('error', entry->4) END
    FROM tasks CROSS JOIN LATERAL string_to_table(rtrim(history, E'\n'), E'\n') AS line
        CROSS JOIN LATERAL (SELECT line::jsonb AS entry) AS entries
    WHERE history <> ''
) AS told ON told.task_id = event.task_id AND told.sequence = event.sequence
ORDER BY feed.transaction, feed.number, event.place;

DROP TABLE task_events;
ALTER TABLE task_events_old RENAME TO task_events;
ALTER SEQUENCE task_events_old_number_seq RENAME TO task_events_number_seq;
ALTER TABLE task_events ADD CONSTRAINT task_events_pkey PRIMARY KEY (task_id, sequence);
CREATE INDEX task_events_feed ON task_events (transaction, number);
CREATE INDEX task_events_owner ON task_events (owner, transaction, number) WHERE owner IS NOT NULL;

UPDATE relay SET position = (trunc(position::numeric / 18446744073709551616) * 18446744073709551616)::text;
ALTER TABLE feed_begin DROP COLUMN place;
UPDATE feed_begin SET number = 0;
DROP TABLE feed;
DROP TABLE leases;
DROP TABLE queue;

DROP INDEX tasks_unique_key;
ALTER TABLE tasks DROP COLUMN standing_key, DROP COLUMN ended_in, DROP COLUMN history, SET (fillfactor = 60);
CREATE UNIQUE INDEX tasks_unique_key
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('pending', 'processing');
CREATE INDEX tasks_queue
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, priority, run_at, id)
    WHERE status = 'pending' AND waiting_for = 0;
CREATE INDEX tasks_leases ON tasks (lease_until) WHERE status = 'processing';
