"""Starts the database, asks one server after the other with wrk, some rounds of it, and writes the medians into
docs/performance.md."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

from servers import CONNECTIONS, bare, ours, theirs
from stage import report
from stage.postgres import Postgres

SUTAZAI, PYTHON, BARE = sys.argv[1:4]
SECONDS = int(os.environ.get("SECONDS_EACH", "5"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
WORKERS = [int(word) for word in os.environ.get("PEER_WORKERS", "1 2 3 4").split()]
USERS = 20
TASKS_EACH = 20
ROUTES = ("POST /tasks", "GET /tasks/{id}", "GET /tasks?limit=10", "/health")
TASK = {
    "agent": "hardware-optimizer", "payload": {"use_model": False}, "title": "One of many",
    "run_at": "2099-01-01T00:00:00Z",
}
# What our connections ask of PostgreSQL, for pgbench.
STEADY = "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"


def sign_in(server, round_):
    """The tokens of users who are new in this round."""
    tokens = []
    for number in range(USERS):
        name = f"bench_{round_}_{number}"
        user = {"username": name, "email": f"{name}@example.org", "password": "correct horse battery"}
        tokens.append(server.ask("/api/v1/auth/register", user)["access_token"])
    return tokens


def measure(server, tokens, postgres=None):
    """What comes of each route."""
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
    """How often a second PostgreSQL does this alone, prepared, asked by 8 clients without a server between."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(text)
        script.flush()
        command = [f"{postgres.programs}/pgbench", "-n", "-M", "prepared", "-c8", "-j1", f"-T{SECONDS}"]
        command += ["-f", script.name, f"{postgres.address}/{database}"]
        environment = {**os.environ, "PGOPTIONS": STEADY}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return float(next(line for line in output.splitlines() if line.startswith("tps")).split()[2])


def bounds(postgres, database):
    """PostgreSQL alone with the same rows, one task or one page a statement."""
    insert = """\\set n random(1, 2000000000)
        BEGIN;
        INSERT INTO tasks (id, agent, title, description, payload, priority, timeout_seconds, max_attempts, run_at,
            created_at, updated_at, awaited)
            VALUES (md5(:client_id || '-' || :n || clock_timestamp())::uuid, 'hardware-optimizer', 'One of many', '',
            '{"use_model": false}', 5, 300, 3, '2099-01-01', now(), now(), false);
        INSERT INTO task_events VALUES (md5(:client_id || '-' || :n || clock_timestamp())::uuid, 1, now(),
            '{"type": "status", "status": "pending", "attempt": 0}');
        COMMIT;"""
    owner, known = postgres.sql(database, "SELECT owner, id FROM tasks WHERE owner IS NOT NULL LIMIT 1").split("|")
    page = f"SELECT * FROM tasks WHERE owner = '{owner}' ORDER BY id DESC LIMIT 11;"
    return {
        "POST /tasks": pgbench(postgres, database, insert),
        "GET /tasks/{id}": pgbench(postgres, database, f"SELECT * FROM tasks WHERE id = '{known}';"),
        "GET /tasks?limit=10": pgbench(postgres, database, page),
    }


def rounds(postgres, folder):
    """The medians of some rounds, by name and route; and how much of the machine others had."""
    our_url, their_url = postgres.database("ours"), postgres.database("theirs")
    subprocess.run([SUTAZAI, "--database", their_url, "migrate", "up"], check=True, stdout=subprocess.DEVNULL)
    results, others = {}, []

    def note(name, measured):
        for route, values in measured.items():
            results.setdefault((name, route), []).append(values)
            others.append(values[-1])

    for number in range(ROUNDS):
        with ours(SUTAZAI, our_url, folder) as server:
            tokens = sign_in(server, number)
            note("SutazAI, PostgreSQL", measure(server, tokens, postgres))
        with ours(SUTAZAI, f"sqlite://{folder}/bench.db", folder) as server:
            note("SutazAI, SQLite", measure(server, sign_in(server, number)))
        for workers in WORKERS:
            with theirs(PYTHON, their_url, workers) as server:
                note(f"FastAPI, {workers} workers", measure(server, tokens, postgres))
        with bare(BARE) as server:
            note("axum alone", {"/health": server.wrk(["- /health"], SECONDS)})
    bound = [bounds(postgres, "ours") for _ in range(ROUNDS)]
    for route in bound[0]:
        results["pgbench, 8 clients", route] = [(each[route],) for each in bound]
    medians = {key: [statistics.median(column) for column in zip(*all_)] for key, all_ in results.items()}
    return medians, statistics.mean(others)


def main():
    with Postgres("shared_buffers=256MB") as postgres, tempfile.TemporaryDirectory() as folder:
        version = postgres.version()
        medians, others = rounds(postgres, folder)
    rows = []
    for route in ROUTES:
        peer = max((f"FastAPI, {n} workers" for n in WORKERS), key=lambda name: medians[name, route][0])
        best, spent = medians[peer, route][0], sum(medians[peer, route][3:6])
        names = ("SutazAI, PostgreSQL", "SutazAI, SQLite", peer, "axum alone", "pgbench, 8 clients")
        for name in filter(lambda name: (name, route) in medians, names):
            rate, *rest = medians[name, route]
            row = [route, name, report.figure(rate), f"{rate / best:.1f}x"]
            if rest:
                time = sum(rest[2:5])
                row += [*map(report.figure, rest[:5]), report.figure(time), f"{spent / time:.1f}x"]
            rows.append(row + [""] * (11 - len(row)))
    head = ["", "", "requests/s", "ratio", "p50 ms", "p99 ms", "server us", "PostgreSQL us", "wrk us", "all us", "ratio"]
    about = (
        f"{os.cpu_count()} processors for everything, wrk with {CONNECTIONS} connections of {USERS} users in turns, "
        f"PostgreSQL {version} with fsync on; medians of {ROUNDS} rounds of {SECONDS} s. The last columns are "
        f"processor time a request. Meanwhile other programs of the machine had {others:.1f} of its processors."
    )
    report.write("http", f"{about}\n\n{report.table(head, rows)}")


main()
