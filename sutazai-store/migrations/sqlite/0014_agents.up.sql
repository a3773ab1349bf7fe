-- When a process was last seen to work for an agent, whichever process it was.
CREATE TABLE agents (
    name         TEXT    NOT NULL PRIMARY KEY,
    last_seen_at INTEGER NOT NULL
) STRICT;
