-- Schedules that submit tasks at their due times.
CREATE TABLE schedules (
    id          BLOB    NOT NULL PRIMARY KEY,
    -- No reference to users, because an embedder may define its own owners.
    owner       BLOB,
    name        TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    payload     TEXT    NOT NULL,
    priority    INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    cron        TEXT    NOT NULL,
    time_zone   TEXT    NOT NULL,
    missed_runs TEXT    NOT NULL,
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    next_run_at INTEGER,
    last_run_at INTEGER,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX schedules_owner ON schedules (owner, id) WHERE owner IS NOT NULL;
-- Due times of enabled schedules.
CREATE INDEX schedules_next ON schedules (next_run_at, id) WHERE next_run_at IS NOT NULL;
