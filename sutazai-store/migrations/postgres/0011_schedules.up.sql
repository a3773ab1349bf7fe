-- Schedules that submit tasks at their due times.
CREATE TABLE schedules (
    id          uuid        NOT NULL CONSTRAINT schedules_id PRIMARY KEY,
    -- No reference to users, because an embedder may define its own owners.
    owner       uuid,
    name        text        NOT NULL,
    agent       text        NOT NULL,
    payload     jsonb       NOT NULL,
    priority    smallint    NOT NULL CHECK (priority BETWEEN 0 AND 9),
    cron        text        NOT NULL,
    time_zone   text        NOT NULL,
    missed_runs text        NOT NULL,
    enabled     boolean     NOT NULL,
    next_run_at timestamptz,
    last_run_at timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

CREATE INDEX schedules_owner ON schedules (owner, id) WHERE owner IS NOT NULL;
-- Due times of enabled schedules.
CREATE INDEX schedules_next ON schedules (next_run_at, id) WHERE next_run_at IS NOT NULL;
