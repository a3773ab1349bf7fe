"""Fills our store by SQL, with the rows that the engine writes: submitting millions of tasks would take longer than the
measurement."""

# Ids grow with time, as those of the engine do; the number `n` of a row makes them unique.
IDENTIFIER = """(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - 86400000 + n / 1000), 12, '0') || '7'
    || substr(md5(MARK || n), 1, 3) || '8' || substr(md5(MARK || n), 4, 15))::uuid"""
NOBODY = "'00000000-0000-0000-0000-000000000000'"
FINISHED = f"""INSERT INTO tasks (id, created_at, timeout_seconds, max_attempts, priority, agent, title, description, payload,
        run_at, updated_at, started_at, finished_at, ended_in, last_sequence, attempt, status, awaited, result, history)
    SELECT {IDENTIFIER.replace('MARK', "'finished'")}, now(), 300, 3, 5, 'nothing', '', '', '{{}}', now(), now(), now(), now(),
        pg_current_xact_id(), 3, 1, 'completed', false, 'null',
        E'[2,1767225600000000,"processing",1,null]\\n[3,1767225600000000,"completed",1,null]\\n'
    FROM generate_series(1, COUNT) AS n"""
PENDING = f"""WITH added AS (
    INSERT INTO tasks (id, created_at, timeout_seconds, max_attempts, priority, agent, title, description, payload, run_at,
        updated_at, awaited)
    SELECT {IDENTIFIER.replace('MARK', "clock_timestamp()::text")}, now(), 300, 3, 5, 'nothing', '', '', '{{}}',
        now() - (COUNT - n) * interval '1 us', now(), false
    FROM generate_series(1, COUNT) AS n RETURNING id, run_at
)
INSERT INTO queue (owner, agent, priority, run_at, task) SELECT {NOBODY}, 'nothing', 5, run_at, id FROM added"""


def add_finished(postgres, database, count):
    """Adds tasks that have ended, vacuumed and analyzed as after hours of operation."""
    if count:
        postgres.sql(database, FINISHED.replace("COUNT", str(count)))
        postgres.sql(database, "VACUUM ANALYZE tasks")


def fill_up(postgres, database, count):
    """Adds pending tasks until there are `count`."""
    missing = count - int(postgres.sql(database, "SELECT count(*) FROM queue"))
    if missing > 0:
        postgres.sql(database, PENDING.replace("COUNT", str(missing)))
    postgres.sql(database, "VACUUM ANALYZE queue")
