"""Starts the database and one server after the other, asks each with wrk, and prints what came of it."""

import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).parent
SUTAZAI, PYTHON = sys.argv[1:3]
SECONDS = int(os.environ.get("SECONDS_EACH", "8"))
CONNECTIONS = 50
WORKERS = (1, 2, 3, 4)
ROUTES = ("POST /tasks", "GET /tasks/{id}", "GET /tasks?limit=10", "/health")
SECRET = secrets.token_hex(32)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processor_time(pid):
    """Seconds of processor time so far of a process and of those that it started, by their ids."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    times = {pid: (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")}
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        times |= processor_time(int(child))
    return times


class Server:
    """A process that listens, until the end of the block."""

    def __init__(self, command, environment, cwd=None):
        self.port = free_port()
        self.log = tempfile.TemporaryFile()
        command = [word.replace("PORT", str(self.port)) for word in command]
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=cwd, stdout=self.log, stderr=self.log,
            start_new_session=True,
        )

    def __enter__(self):
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                self.ask("/health")
                return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        self.log.seek(0)
        sys.exit(self.log.read().decode())

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def ask(self, path, body=None, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def wrk(self, script, path, token, seconds=SECONDS):
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", str(HERE / script)]
        command += ["-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{self.port}{path}"]
        before = processor_time(self.process.pid)
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        line = next(line for line in output.splitlines() if line.startswith("RESULT "))
        rate, p50, p99, failed = (float(word) for word in line.split()[1:])
        if failed:
            sys.exit(f"{failed:.0f} requests of {path} failed:\n{output}")
        after = processor_time(self.process.pid)
        used = sum(after[pid] - before.get(pid, 0) for pid in after)
        return rate, p50, p99, 1e6 * used / (rate * seconds)

    def measure(self, token):
        """Rate, p50 and p99 in milliseconds, and microseconds of processor time a request, of each route."""
        task = {"agent": "hardware-optimizer", "run_at": "2099-01-01T00:00:00Z"}
        for _ in range(20):
            known = self.ask("/api/v1/tasks", task, token)["id"]
        self.wrk("read.lua", "/api/v1/tasks?limit=10", token, 1)
        return {
            "POST /tasks": self.wrk("create.lua", "/api/v1/tasks", token),
            "GET /tasks/{id}": self.wrk("read.lua", f"/api/v1/tasks/{known}", token),
            "GET /tasks?limit=10": self.wrk("read.lua", "/api/v1/tasks?limit=10", token),
            "/health": self.wrk("read.lua", "/health", token),
        }


class Postgres:
    """A server of its own, every commit synced, ended with the block."""

    def __enter__(self):
        script = HERE.parent.parent / "scripts" / "postgres.sh"
        self.process = subprocess.Popen(
            [script, "shared_buffers=256MB"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address, _, self.programs = (self.process.stdout.readline().strip() for _ in range(3))
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def database(self, name):
        self.sql("postgres", f"CREATE DATABASE {name}")
        return f"{self.address}/{name}"

    def sql(self, database, text):
        command = [f"{self.programs}/psql", "-qAtX", f"{self.address}/{database}", "-c", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def pgbench(self, database, text):
        """Transactions a second of one statement or several, prepared, by as many clients as our server has."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(text)
            script.flush()
            command = [f"{self.programs}/pgbench", "-n", "-M", "prepared", "-c8", "-j1", f"-T{SECONDS}"]
            command += ["-f", script.name, f"{self.address}/{database}"]
            # As our connections have it.
            options = "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
            environment = {**os.environ, "PGOPTIONS": options}
            output = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            ).stdout
        return float(next(line for line in output.splitlines() if line.startswith("tps")).split()[2])


def ours(url, folder):
    environment = {
        "DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, "LOG_LEVEL": "warn", "MODEL_BACKENDS": "",
        "ENABLE_RATE_LIMITING": "false", "HISTORY_INTERVAL_SECONDS": "3600", "XDG_DATA_HOME": folder,
    }
    return Server([SUTAZAI, "serve", "--listen", "127.0.0.1:PORT"], environment)


def theirs(url, workers):
    command = [PYTHON, "-m", "uvicorn", "server:app", "--host", "127.0.0.1", "--port", "PORT", "--no-access-log"]
    command += ["--log-level", "warning", "--workers", str(workers)]
    environment = {"DATABASE_URL": url, "JWT_SECRET_KEY": SECRET}
    return Server(command, environment, HERE.parent / "peers" / "fastapi")


def sign_in(server):
    user = {"username": "bench_1", "email": "bench@example.org", "password": "correct horse battery"}
    return server.ask("/api/v1/auth/register", user)["access_token"]


def bounds(postgres, database):
    """What PostgreSQL alone does with the same statements."""
    insert = """\\set n random(1, 2000000000)
        BEGIN;
        INSERT INTO tasks (id, agent, title, description, payload, priority, timeout_seconds, max_attempts, run_at,
            created_at, updated_at, awaited)
            VALUES (md5(:client_id || '-' || :n || clock_timestamp())::uuid, 'hardware-optimizer', 'One of many', '',
            '{"use_model": false}', 5, 300, 3, '2099-01-01', now(), now(), false);
        INSERT INTO task_events VALUES (md5(:client_id || '-' || :n || clock_timestamp())::uuid, 1, now(),
            '{"type": "status", "status": "pending", "attempt": 0}');
        COMMIT;"""
    known = postgres.sql(database, "SELECT id FROM tasks WHERE owner IS NOT NULL LIMIT 1").strip()
    owner = postgres.sql(database, f"SELECT owner FROM tasks WHERE id = '{known}'").strip()
    return {
        "POST /tasks": postgres.pgbench(database, insert),
        "GET /tasks/{id}": postgres.pgbench(database, f"SELECT * FROM tasks WHERE id = '{known}';"),
        "GET /tasks?limit=10": postgres.pgbench(
            database, f"SELECT * FROM tasks WHERE owner = '{owner}' ORDER BY id DESC LIMIT 11;"
        ),
    }


def main():
    with Postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        our_url, their_url = postgres.database("ours"), postgres.database("theirs")
        with ours(our_url, folder) as server:
            token = sign_in(server)
            over_postgres = server.measure(token)
        with ours(f"sqlite://{folder}/bench.db", folder) as server:
            over_sqlite = server.measure(sign_in(server))
        migrate = [SUTAZAI, "--database", their_url, "migrate", "up"]
        subprocess.run(migrate, check=True, stdout=subprocess.DEVNULL)
        peers = {}
        for workers in WORKERS:
            with theirs(their_url, workers) as server:
                peers[workers] = server.measure(token)
        bound = bounds(postgres, "ours")

    print(f"\n{os.cpu_count()} processors, wrk with {CONNECTIONS} connections, {SECONDS} s each, fsync on")
    print(f"{'':<22}{'':<26}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>7}{'cpu us':>9}")
    for route in ROUTES:
        workers, best = max(((n, peer[route]) for n, peer in peers.items()), key=lambda pair: pair[1][0])
        rows = [
            ("sutazai, PostgreSQL", over_postgres[route]),
            ("sutazai, SQLite", over_sqlite[route]),
            (f"FastAPI, {workers} workers", best),
        ]
        for name, (rate, p50, p99, used) in rows:
            ratio = rate / best[0]
            print(f"{route:<22}{name:<26}{rate:>11.0f}{p50:>9.2f}{p99:>9.2f}{ratio:>6.1f}x{used:>9.0f}")
        if route in bound:
            print(f"{route:<22}{'pgbench, 8 clients':<26}{bound[route]:>11.0f}{'':>18}{bound[route] / best[0]:>6.1f}x")
    load = os.getloadavg()[0]
    print(f"cpu us: processor time of the server's processes a request, without PostgreSQL's. Load now: {load:.1f}")


main()
