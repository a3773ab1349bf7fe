"""The compared servers: each is a process that listens until the end of its block, and can be measured with wrk."""

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
import urllib.request

from stage import processor

HERE = pathlib.Path(__file__).parent
CONNECTIONS = 50
SECRET = secrets.token_hex(32)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, command, environment, cwd=None):
        self.port = free_port()
        self.log = tempfile.TemporaryFile()
        command = [str(word).replace("PORT", str(self.port)) for word in command]
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

    def wrk(self, lines, seconds, postgres=None):
        """Sends the requests in these lines. Returns the rate, p50 and p99 in milliseconds, microseconds of processor time
        per request of the server, of PostgreSQL and of wrk, and the processors that all other programs used meanwhile."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", str(HERE / "load.lua")]
            command += [f"http://127.0.0.1:{self.port}", "--", file.name]
            database = postgres.processor_time if postgres else lambda: 0.0
            before = (processor.of_tree(self.process.pid), database(), 0.0, processor.of_machine())
            began = time.monotonic()
            wrk = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            output = wrk.stdout.read()
            took = time.monotonic() - began
            _, status, usage = os.wait4(wrk.pid, 0)
            wrk.returncode = os.waitstatus_to_exitcode(status)
            of_wrk = usage.ru_utime + usage.ru_stime
            after = (processor.of_tree(self.process.pid), database(), of_wrk, processor.of_machine())
        if wrk.returncode:
            sys.exit(f"wrk failed:\n{output}")
        line = next(line for line in output.splitlines() if line.startswith("RESULT "))
        rate, p50, p99, failed = (float(word) for word in line.split()[1:])
        if failed:
            sys.exit(f"{failed:.0f} requests failed:\n{output}")
        used = [late - early for late, early in zip(after, before)]
        others = max(0.0, used[3] - sum(used[:3])) / took
        return (rate, p50, p99, *(1e6 * seconds / (rate * took) for seconds in used[:3]), others)


def ours(program, url, folder, threads):
    environment = {
        "DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, "LOG_LEVEL": "warn", "MODEL_BACKENDS": "",
        "ENABLE_RATE_LIMITING": "false", "HISTORY_INTERVAL_SECONDS": "3600", "XDG_DATA_HOME": folder,
        "TOKIO_WORKER_THREADS": str(threads),
    }
    return Server([program, "serve", "--listen", "127.0.0.1:PORT"], environment)


def theirs(python, url, workers):
    command = [python, "-m", "uvicorn", "server:app", "--host", "127.0.0.1", "--port", "PORT", "--no-access-log"]
    command += ["--log-level", "warning", "--workers", str(workers)]
    environment = {"DATABASE_URL": url, "JWT_SECRET_KEY": SECRET}
    return Server(command, environment, HERE.parent / "peers" / "fastapi")


def bare(program):
    return Server([program, "127.0.0.1:PORT"], {})
