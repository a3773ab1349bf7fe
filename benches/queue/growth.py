"""How our costs grow: with the processes that work, with the tasks that are pending, with those that have ended. Writes the
figures into docs/performance.md and draws docs/queue-growth.svg."""

import os
import statistics
import sys

from peers import peers
from stage import plot, report
from stores import Stores
from workers import ask, drain

ROUNDS = int(os.environ.get("ROUNDS", "3"))
DRAINED = 20_000
PROCESSES = (1, 2, 4, 8)
PENDING = [int(word) for word in os.environ.get("PENDING", "10000 100000 1000000").split()]
FINISHED = [int(word) for word in os.environ.get("FINISHED", "0 100000 1000000").split()]
ADD_FINISHED = """INSERT INTO tasks (id, created_at, updated_at, run_at, timeout_seconds, max_attempts, status, priority,
        awaited, agent, title, description, payload, finished_at)
    SELECT gen_random_uuid(), now(), now(), now(), 300, 3, 'completed', 5, false, 'nothing', '', '', '{}', now()
    FROM generate_series(1, COUNT); ANALYZE tasks"""
CLAIM = """SELECT sum(total_exec_time) / sum(rows) FROM pg_stat_statements WHERE query LIKE 'WITH due AS MATERIALIZED%'
    AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def in_words(count):
    return {1_000_000: "1 million", 10_000_000: "10 million"}.get(count, f"{count // 1000} thousand" if count else "0")


def name_of(url):
    return url.rsplit("/", 1)[1]


def prepared(stores, peer, url, pending=0, finished=0):
    ask(peer, "prepare", url)
    stores.postgres.sql(name_of(url), "CREATE EXTENSION pg_stat_statements")
    if finished:
        stores.postgres.sql(name_of(url), ADD_FINISHED.replace("COUNT", str(finished)))
    if pending:
        ask(peer, "fill", url, pending)


def drained(stores, peer, processes=1, pending=DRAINED, finished=0):
    """Tasks a second, and microseconds of the database for the claim of one."""
    with stores.new(peer) as url:
        prepared(stores, peer, url, pending, finished)
        rate, _ = drain(peer, url, min(pending, DRAINED), processes, lambda: 0.0)
        return rate, 1e3 * float(stores.postgres.sql(name_of(url), CLAIM))


def waited(stores, peer, finished):
    """p50 and p95 from submit to start."""
    with stores.new(peer) as url:
        prepared(stores, peer, url, finished=finished)
        times = sorted(map(float, ask(peer, "latency", url, 300).split()))
        return times[len(times) // 2], times[len(times) * 95 // 100]


def medians(measure):
    return [statistics.median(column) for column in zip(*(measure() for _ in range(ROUNDS)))]


def main():
    settings = ["shared_preload_libraries=pg_stat_statements", "max_wal_size=8GB"]
    with Stores(*settings) as stores:
        peer = peers(*sys.argv[1:5])[0]
        by_processes = [medians(lambda: drained(stores, peer, processes=n)) for n in PROCESSES]
        by_pending = [medians(lambda: drained(stores, peer, pending=n)) for n in PENDING]
        by_finished = [
            medians(lambda: drained(stores, peer, finished=n)) + medians(lambda: waited(stores, peer, n))
            for n in FINISHED
        ]
    words = lambda counts: [in_words(n) for n in counts]
    plot.write(
        report.DOCUMENT.parent / "queue-growth.svg",
        [
            ("tasks a second", "processes", list(map(str, PROCESSES)), {"": [row[0] for row in by_processes]}),
            ("tasks a second", "pending tasks", words(PENDING), {"": [row[0] for row in by_pending]}),
            ("submit to start, ms", "finished tasks", words(FINISHED),
             {"p50": [row[2] for row in by_finished], "p95": [row[3] for row in by_finished]}),
        ],
    )
    rows = [[f"{n} processes", *map(report.figure, row)] for n, row in zip(PROCESSES, by_processes)]
    rows += [[f"{in_words(n)} pending", *map(report.figure, row)] for n, row in zip(PENDING, by_pending)]
    rows += [[f"{in_words(n)} finished", *map(report.figure, row)] for n, row in zip(FINISHED, by_finished)]
    head = ["", "drained /s", "claim, us a task", "submit to start, p50 ms", "p95 ms"]
    rows = [row + [""] * (len(head) - len(row)) for row in rows]
    about = (
        f"{DRAINED:,} tasks drained by one process where nothing else is said (10 thousand where no more are pending); "
        f"medians of {ROUNDS} rounds. The claim is what PostgreSQL spends on it (`pg_stat_statements`).\n\n"
        "![How the queue's costs grow](queue-growth.svg)"
    )
    report.write("growth", f"{about}\n\n{report.table(head, rows)}")


main()
