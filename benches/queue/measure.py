"""Compares our queue with its peers in alternating rounds, and writes the medians to docs/performance.md."""

import os
import statistics
import sys
import threading
import time

from peers import peers
from stage import report
from stores import Stores
from workers import ask, drain, waits

ROUNDS = int(os.environ.get("ROUNDS", "3"))
ONLY = os.environ.get("ONLY")
LATENCIES = 300
PROCESSES = 4
# Long enough to include checkpoints and autovacuum.
LOADED_SECONDS = int(os.environ.get("LOADED_SECONDS", "10"))
MEASURES = {
    "one": "drained /s, 1 process", "four": f"drained /s, {PROCESSES} processes", "bulk": "submitted /s, by 1,000",
    "single": "submitted /s, by 50 callers", "p50": "submit to start, p50 ms", "p95": "p95 ms",
    "loaded_p50": "under load, p50 ms", "loaded_p95": "under load, p95 ms",
    "cpu": "processor s per 1,000", "wal": "WAL bytes a task",
}


def locks_during(stores, work):
    """Returns the result of `work`, and the average number of connections that waited for a lock meanwhile."""
    seen, over = [], threading.Event()

    def look():
        while not over.is_set():
            seen.append(stores.waits_for_locks())
            time.sleep(0.05)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        return work(), statistics.mean(seen or [0])
    finally:
        over.set()
        watch.join()


def measure(stores, peer):
    """Returns all measurements of one peer, each over a new store."""
    found = {}

    def emptied(url):
        left = stores.left(peer, url)
        if left:
            sys.exit(f"{peer.name} left {left} tasks")

    def drained(url, processes):
        left = (lambda: stores.left(peer, url)) if peer.store == "sqlite" else None
        return drain(peer, url, peer.tasks, processes, lambda: stores.processor_time(peer), left)

    with stores.new(peer) as url:
        ask(peer, "prepare", url)
        written = stores.written()
        found["bulk"] = peer.tasks / float(ask(peer, "fill", url, peer.tasks))
        found["one"], seconds = drained(url, 1)
        found["cpu"] = 1_000 * seconds / peer.tasks
        if peer.store == "postgres":
            found["wal"] = (stores.written() - written) / peer.tasks
        emptied(url)
    if peer.processes:
        with stores.new(peer) as url:
            ask(peer, "prepare", url)
            ask(peer, "fill", url, peer.tasks)
            (found["four"], _), found["locks"] = locks_during(stores, lambda: drained(url, PROCESSES))
            emptied(url)
    with stores.new(peer) as url:
        ask(peer, "prepare", url)
        found["single"] = peer.singles / float(ask(peer, "single", url, peer.singles))
    with stores.new(peer) as url:
        ask(peer, "prepare", url)
        found["p50"], found["p95"] = waits(peer, "latency", url, LATENCIES)
    if peer.pickup:
        found["load"] = int(found["one"] / 2)
        with stores.new(peer) as url:
            ask(peer, "prepare", url)
            found["loaded_p50"], found["loaded_p95"] = waits(peer, "pickup", url, found["load"], LOADED_SECONDS)
    return found


def cell(measured, compared, name):
    """Formats a figure, and its ratio to that of another peer."""
    value = measured.get(name)
    if value is None:
        return ""
    if compared.get(name):
        return f"{report.figure(value)} ({value / compared[name]:.2f}x)"
    return report.figure(value)


def sentences(medians, results):
    """Yields sentences for what has no column in the table."""
    locks = ", ".join(f"{name} {found['locks']:.1f}" for name, found in medians.items() if "locks" in found)
    yield f"Connections that waited for a lock while {PROCESSES} processes drained, on average: {locks}."
    loads = " and ".join(f"{found['load']:,.0f} a second to {name}" for name, found in medians.items() if "load" in found)
    if loads:
        yield (
            f"Under load, tasks come at half the rate at which 1 process drains ({loads}), for {LOADED_SECONDS} s, and the "
            "process that works them off also submits them."
        )
    over_sqlite = [name for name in results if name.lower().endswith("sqlite")]
    if over_sqlite:
        rates = {name: [found["one"] for found in results[name]] for name in over_sqlite}
        drained = " and ".join(f"{name} {min(found):,.0f} to {max(found):,.0f}" for name, found in rates.items())
        yield f"Over SQLite it is measured until the last task is recorded as done; a second, {drained}, from round to round."


def main():
    results = {}
    with Stores() as stores:
        version = stores.postgres.version()
        chosen = [peer for peer in peers(*sys.argv[1:]) if not ONLY or ONLY in peer.name]
        for number in range(ROUNDS):
            for peer in chosen:
                found = measure(stores, peer)
                print(f"round {number + 1}, {peer.name}: {found}", file=sys.stderr, flush=True)
                results.setdefault(peer.name, []).append(found)
    medians = {
        name: {key: statistics.median(one[key] for one in all_) for key in all_[0]} for name, all_ in results.items()
    }
    rows = [
        [peer.name, *[cell(medians[peer.name], medians.get(peer.compared_to, {}), key) for key in MEASURES]] for peer in chosen
    ]
    about = (
        f"{os.cpu_count()} processors for everything, PostgreSQL {version} with fsync on, tasks that do nothing, "
        f"concurrency 10 a process (awa 500); medians of {ROUNDS} rounds in turns. In brackets: times the figure of "
        "graphile-worker, tuned; over SQLite that of apalis-sqlite. Processor time is that of the workers and the database while 1 process "
        "drains."
    )
    text = "\n\n".join([about, *sentences(medians, results), report.table(["", *MEASURES.values()], rows)])
    if ONLY:
        print(text)
    else:
        report.write("queue", text)


main()
