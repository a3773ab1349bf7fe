-- Time of the last heartbeat of each agent, from any process.
CREATE TABLE agents (
    name         TEXT    NOT NULL PRIMARY KEY,
    last_seen_at INTEGER NOT NULL
) STRICT;
