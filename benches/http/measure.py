"""Starts the database, measures the servers in turn with wrk, for some rounds, and writes the medians to
docs/performance.md."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone

from servers import CONNECTIONS, bare, ours, theirs
from stage import report
from stage.postgres import Postgres

SUTAZAI, PYTHON, BARE = sys.argv[1:4]
SECONDS = int(os.environ.get("SECONDS_EACH", "5"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
WORKERS = [int(word) for word in os.environ.get("PEER_WORKERS", "1 2 3 4").split()]
THREADS = [int(word) for word in os.environ.get("THREADS", "1 2").split()]
USERS = 20
TASKS_EACH = 20
ROUTES = ("POST /tasks", "GET /tasks/{id}", "GET /tasks?limit=10", "/health")
TASK = {
    "agent": "hardware-optimizer", "payload": {"use_model": False}, "title": "One of many",
    "run_at": (datetime.now(timezone.utc) + timedelta(days=365)).isoformat(),
}
OVER_POSTGRES = {n: f"SutazAI, PostgreSQL, {n} thread{'s' * (n > 1)}" for n in THREADS}
BOUND = f"pgbench, {CONNECTIONS} clients"
# Settings of our connections to PostgreSQL, for pgbench.
STEADY = "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"


def sign_in(server, round_):
    """Registers new users for this round and returns their tokens."""
    tokens = []
    for number in range(USERS):
        name = f"bench_{round_}_{number}"
        user = {"username": name, "email": f"{name}@example.org", "password": "correct horse battery"}
        tokens.append(server.ask("/api/v1/auth/register", user)["access_token"])
    return tokens


def measure(server, tokens, postgres=None):
    """Returns the measurements of each route."""
    known = [(token, server.ask("/api/v1/tasks", TASK, token)["id"]) for _ in range(TASKS_EACH) for token in tokens]
    lists = [f"{token} /api/v1/tasks?limit=10" for token in tokens]
    lines = {
        "POST /tasks": [f"{token} /api/v1/tasks {json.dumps(TASK)}" for token in tokens],
        "GET /tasks/{id}": [f"{token} /api/v1/tasks/{task}" for token, task in known],
        "GET /tasks?limit=10": lists,
        "/health": [f"{tokens[0]} /health"],
    }
    server.wrk(lists, 1)
    return {route: server.wrk(lines[route], SECONDS, postgres) for route in ROUTES}


def pgbench(postgres, database, text):
    """Measures PostgreSQL alone, with prepared statements and the same number of clients: transactions per second, and
    their p50 and p99 in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "script.sql"
        script.write_text(text)
        command = [f"{postgres.programs}/pgbench", "-n", "-M", "prepared", f"-c{CONNECTIONS}", "-j1", f"-T{SECONDS}"]
        command += ["-l", f"--log-prefix={folder}/log", "-f", script, f"{postgres.address}/{database}"]
        environment = {**os.environ, "PGOPTIONS": STEADY}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        times = sorted(_intervals(pathlib.Path(folder).glob("log.*")))
    rate = float(next(line for line in output.splitlines() if line.startswith("tps")).split()[2])
    return rate, times[len(times) // 2], times[len(times) * 99 // 100]


def _intervals(logs):
    """Yields the milliseconds between the ends of consecutive transactions of a client. The latencies of pgbench itself are
    too short: it reads the clock once for all events that it handles in a row."""
    for log in logs:
        ended = {}
        for line in log.read_text().splitlines():
            client, _, _, _, seconds, microseconds = map(int, line.split())
            now = seconds * 1e3 + microseconds / 1e3
            if client in ended:
                yield now - ended[client]
            ended[client] = now


def bounds(postgres, database):
    """Measures PostgreSQL alone with the same rows, one task or one page per statement."""
    insert = """
        WITH added AS (
            INSERT INTO tasks (id, agent, title, description, payload, priority, timeout_seconds, max_attempts, run_at,
                created_at, updated_at, awaited)
            VALUES ((lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
                || substr(md5(random()::text), 1, 20))::uuid, 'hardware-optimizer', 'One of many', '',
                '{"use_model": false}', 5, 300, 3, '2099-01-01', now(), now(), false)
            RETURNING id, agent, priority, run_at
        ), queued AS (
            INSERT INTO queue (owner, agent, priority, run_at, task)
            SELECT '00000000-0000-0000-0000-000000000000', agent, priority, run_at, id FROM added
        )
        INSERT INTO event_log (tasks, sequences) SELECT array_agg(id), '{1}' FROM added;"""
    owner, known = postgres.sql(database, "SELECT owner, id FROM tasks WHERE owner IS NOT NULL LIMIT 1").split("|")
    page = f"SELECT * FROM tasks WHERE owner = '{owner}' ORDER BY id DESC LIMIT 11;"
    return {
        "POST /tasks": pgbench(postgres, database, insert),
        "GET /tasks/{id}": pgbench(postgres, database, f"SELECT * FROM tasks WHERE id = '{known}';"),
        "GET /tasks?limit=10": pgbench(postgres, database, page),
    }


def rounds(postgres, folder):
    """Returns the medians of all rounds, by name and route, and the processors that other programs used."""
    our_url, their_url = postgres.database("ours"), postgres.database("theirs")
    subprocess.run([SUTAZAI, "--database", their_url, "migrate", "up"], check=True, stdout=subprocess.DEVNULL)
    results, others = {}, []

    def note(name, measured):
        for route, values in measured.items():
            results.setdefault((name, route), []).append(values)
            others.append(values[-1])

    for number in range(ROUNDS):
        for threads in THREADS:
            with ours(SUTAZAI, our_url, folder, threads) as server:
                tokens = sign_in(server, f"{number}_{threads}")
                note(OVER_POSTGRES[threads], measure(server, tokens, postgres))
        with ours(SUTAZAI, f"sqlite://{folder}/bench.db", folder, THREADS[-1]) as server:
            note("SutazAI, SQLite", measure(server, sign_in(server, number)))
        for workers in WORKERS:
            with theirs(PYTHON, their_url, workers) as server:
                note(f"FastAPI, {workers} workers", measure(server, tokens, postgres))
        with bare(BARE) as server:
            note("axum alone", {"/health": server.wrk(["- /health"], SECONDS)})
    bound = [bounds(postgres, "ours") for _ in range(ROUNDS)]
    for route in bound[0]:
        results[BOUND, route] = [each[route] for each in bound]
    medians = {key: [statistics.median(column) for column in zip(*all_)] for key, all_ in results.items()}
    return medians, statistics.mean(others)


def main():
    with Postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        version = postgres.version()
        medians, others = rounds(postgres, folder)
    rows = []
    for route in ROUTES:
        peer = max((f"FastAPI, {n} workers" for n in WORKERS), key=lambda name: medians[name, route][0])
        best, spent = medians[peer, route][0], sum(medians[peer, route][3:6])
        names = (*OVER_POSTGRES.values(), "SutazAI, SQLite", peer, "axum alone", BOUND)
        for name in filter(lambda name: (name, route) in medians, names):
            rate, p50, p99, *used = medians[name, route]
            row = [route, name, report.figure(rate), f"{rate / best:.1f}x", report.figure(p50), report.figure(p99)]
            if used:
                time = sum(used[:3])
                row += [*map(report.figure, used[:3]), report.figure(time), f"{spent / time:.1f}x"]
            rows.append(row + [""] * (11 - len(row)))
    head = ["", "", "requests/s", "ratio", "p50 ms", "p99 ms", "server us", "PostgreSQL us", "wrk us", "all us", "ratio"]
    about = (
        f"{os.cpu_count()} processors for everything, wrk with {CONNECTIONS} connections of {USERS} users in turns, "
        f"PostgreSQL {version} with fsync on; medians of {ROUNDS} rounds of {SECONDS} s. The last columns are "
        f"processor time a request. Meanwhile other programs of the machine had {others:.1f} of its processors."
    )
    report.write("http", f"{about}\n\n{report.table(head, rows)}")


main()
