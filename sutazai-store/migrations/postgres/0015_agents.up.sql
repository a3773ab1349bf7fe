-- Time of the last heartbeat of each agent, from any process.
CREATE TABLE agents (
    name         text        NOT NULL CONSTRAINT agents_name PRIMARY KEY,
    last_seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);
