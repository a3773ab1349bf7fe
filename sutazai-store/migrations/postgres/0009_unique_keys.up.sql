-- A key of which only one task of an owner and an agent is pending or processing at a time.
ALTER TABLE tasks ADD COLUMN unique_key text;

CREATE UNIQUE INDEX tasks_unique_key
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('pending', 'processing');
