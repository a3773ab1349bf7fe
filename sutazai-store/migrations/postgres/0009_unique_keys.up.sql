-- Unique key: at most one task of an owner and an agent with this key is pending or processing.
ALTER TABLE tasks ADD COLUMN unique_key text;

CREATE UNIQUE INDEX tasks_unique_key
    ON tasks (coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('pending', 'processing');
