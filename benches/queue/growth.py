"""Measures how our costs grow with the number of processes, of pending tasks and of finished tasks. Writes the figures
to docs/performance.md and draws queue-growth.svg next to it."""

import os
import statistics
import sys

from filled import add_finished, fill_up
from peers import peers
from plan import of_claim
from stage import plot, report
from stores import Stores
from workers import ask, drain, waits

ROUNDS = int(os.environ.get("ROUNDS", "3"))
DRAINED = int(os.environ.get("TASKS", "20000"))
LATENCIES = 300


def numbers(name, default):
    return [int(word) for word in os.environ.get(name, default).split()]


PROCESSES = numbers("PROCESSES", "1 2 4 8 16")
PENDING = numbers("PENDING", "10000 100000 1000000")
FINISHED = numbers("FINISHED", "0 1000000 10000000")
# Time that PostgreSQL spends on claiming one task, in milliseconds.
CLAIM = """SELECT sum(total_exec_time) / sum(rows) FROM pg_stat_statements WHERE query LIKE 'WITH due AS MATERIALIZED%'
    AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def in_words(count):
    if count >= 1_000_000:
        return f"{count / 1_000_000:g} million"
    return f"{count / 1_000:g} thousand" if count >= 1_000 else str(count)


class Queue:
    """One store for all rounds of a measurement: finished tasks stay in it."""

    def __init__(self, stores, peer, url):
        self.peer, self.url, self.postgres, self.name = peer, url, stores.postgres, url.rsplit("/", 1)[1]
        ask(peer, "prepare", url)
        self.postgres.sql(self.name, "CREATE EXTENSION pg_stat_statements")

    def drained(self, pending=DRAINED, processes=1):
        """Returns tasks per second, and microseconds of the database for the claim of one task."""
        fill_up(self.postgres, self.name, pending)
        self.postgres.sql(self.name, "SELECT pg_stat_statements_reset()")
        rate, _ = drain(self.peer, self.url, min(pending, DRAINED), processes, lambda: 0.0)
        return rate, 1e3 * float(self.postgres.sql(self.name, CLAIM))


def medians(measure):
    return [statistics.median(column) for column in zip(*(measure() for _ in range(ROUNDS)))]


def measure(stores, peer):
    """Returns the figures by processes, by pending and by finished tasks, and the query plans of claims among the latter."""
    by_processes, by_pending, by_finished, plans = [], [], [], []

    def note(rows, measured, what):
        print(f"{what}: {measured}", file=sys.stderr, flush=True)
        rows.append(measured)

    for count in PROCESSES:
        with stores.new(peer) as url:
            queue = Queue(stores, peer, url)
            note(by_processes, medians(lambda: queue.drained(processes=count)), f"{count} processes")
    for count in PENDING:
        with stores.new(peer) as url:
            queue = Queue(stores, peer, url)
            note(by_pending, medians(lambda: queue.drained(count)), f"{count} pending")
    for count in FINISHED:
        with stores.new(peer) as url:
            queue = Queue(stores, peer, url)
            add_finished(queue.postgres, queue.name, count)
            both = medians(queue.drained) + medians(lambda: waits(peer, "latency", url, LATENCIES))
            note(by_finished, both, f"{count} finished")
            fill_up(queue.postgres, queue.name, DRAINED)
            with of_claim(queue.postgres, queue.name) as plan:
                drain(peer, url, DRAINED, 1, lambda: 0.0)
            plans.append(f"{in_words(count)} finished: {plan()}")
    return by_processes, by_pending, by_finished, plans


def main():
    # Checkpoints by time only, because filling a store writes more than a minute of work.
    with Stores("shared_preload_libraries=pg_stat_statements", "max_wal_size=8GB") as stores:
        by_processes, by_pending, by_finished, plans = measure(stores, peers(*sys.argv[1:])[0])
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
    rows = [[f"{n} process{'es' if n > 1 else ''}", *map(report.figure, row)] for n, row in zip(PROCESSES, by_processes)]
    rows += [[f"{in_words(n)} pending", *map(report.figure, row)] for n, row in zip(PENDING, by_pending)]
    rows += [[f"{in_words(n)} finished", *map(report.figure, row)] for n, row in zip(FINISHED, by_finished)]
    head = ["", "drained /s", "claim, us a task", "submit to start, p50 ms", "p95 ms"]
    rows = [row + [""] * (len(head) - len(row)) for row in rows]
    measured = "one round" if ROUNDS == 1 else f"medians of {ROUNDS} rounds"
    about = (
        f"{DRAINED:,} tasks drained by one process where nothing else is said (all where fewer are pending); "
        f"{measured} in one store, what they finish stays in it. The claim is what PostgreSQL spends on it "
        "(`pg_stat_statements`).\n\n![How the queue's costs grow](queue-growth.svg)"
    )
    explained = (
        "A claim among finished tasks, as `EXPLAIN (ANALYZE, BUFFERS)` has it (`auto_explain` during a drain; of the largest "
        "claims the one in the middle):\n\n```text\n" + "\n".join(plans) + "\n```"
    )
    report.write("growth", f"{about}\n\n{report.table(head, rows)}\n\n{explained}")


main()
