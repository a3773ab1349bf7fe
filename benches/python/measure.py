"""Compares the Python package with other task queues in alternating rounds, and writes the medians to docs/performance.md."""

import json
import os
import pathlib
import statistics
import subprocess
import sys

from contenders import CONTENDERS
from stage import processor, report
from stores import Stores
from workers import ask, drain, waits

ROUNDS = int(os.environ.get("ROUNDS", "3"))
ONLY = os.environ.get("ONLY")
LATENCIES = 300
COLUMNS = {"drained": "drained /s", "cpu": "processor s per 1,000", "p50": "submit to start, p50 ms", "p95": "p95 ms"}
CALLS = pathlib.Path(__file__).with_name("calls.py")


def measure(stores, one):
    """Returns all measurements of one package, each over a new store."""
    found = {}
    with stores.new(one) as url:
        ask(one, "prepare", url)
        ask(one, "fill", url, one.tasks)
        left = (lambda: stores.left(one, url)) if one.store == "sqlite" else None
        found["drained"], seconds = drain(one, url, one.tasks, 1, lambda: stores.processor_time(one), left)
        found["cpu"] = 1_000 * seconds / one.tasks
        lost = stores.left(one, url)
        if lost:
            sys.exit(f"{one.name} left {lost} tasks")
    with stores.new(one) as url:
        ask(one, "prepare", url)
        found["p50"], found["p95"] = waits(one, "latency", url, LATENCIES)
    return found


def calls():
    """Returns what single calls of the package cost."""
    done = subprocess.run([sys.executable, CALLS], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def medians(rounds):
    """Returns the median of each measurement over the rounds."""
    return {key: statistics.median(found[key] for found in rounds) for key in rounds[0]}


def comparison(results):
    """Returns the table of all packages, with the ratio to the fastest of the others."""
    found = {one: medians(rounds) for one, rounds in results}
    others = [values for one, values in found.items() if not one.is_ours]
    best = max(others, key=lambda values: values["drained"]) if others else {}

    def cell(values, key):
        return report.figure(values[key]) + (f" ({values[key] / best[key]:.2f}x)" if best.get(key) else "")

    rows = [[one.name, *(cell(values, key) for key in COLUMNS)] for one, values in found.items()]
    return report.table(["", *COLUMNS.values()], rows)


def main():
    chosen = [one for one in CONTENDERS if not ONLY or ONLY in one.name]
    results, called = {one.name: [] for one in chosen}, []
    before, began = processor.of_machine(), os.times().elapsed
    with Stores() as stores:
        version = stores.postgres.version()
        for number in range(ROUNDS):
            for one in chosen:
                found = measure(stores, one)
                print(f"round {number + 1}, {one.name}: {found}", file=sys.stderr, flush=True)
                results[one.name].append(found)
            called.append(calls())
            print(f"round {number + 1}, calls: {called[-1]}", file=sys.stderr, flush=True)
        measured = sum(os.times()[:4]) + stores.postgres.processor_time() + processor.of_tree(stores.redis.pid)
        share = (processor.of_machine() - before - measured) / (os.times().elapsed - began)
    about = (
        f"{os.cpu_count()} processors for everything, Python {sys.version.split()[0]}, PostgreSQL {version} with fsync on, tasks "
        f"that do nothing, 10 at once; medians of {ROUNDS} rounds in turns. In brackets: times the figure of the package that drains "
        f"fastest among the others. Meanwhile other programs of the machine had {share:.1f} of its processors."
    )
    rows = [[name, report.figure(value)] for name, value in medians(called).items()]
    tables = [comparison([(one, results[one.name]) for one in chosen]), report.table(["", ""], rows)]
    text = "\n\n".join([about, *tables])
    if ONLY:
        print(text)
    else:
        report.write("python", text)


main()
