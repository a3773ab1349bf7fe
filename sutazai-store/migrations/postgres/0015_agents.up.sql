-- When a process was last seen to work for an agent, whichever process it was.
CREATE TABLE agents (
    name         text        NOT NULL CONSTRAINT agents_name PRIMARY KEY,
    last_seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);
