"""A PostgreSQL server with every commit synced, which ends with its block. Its WAL segments are allocated in advance, as
on a server that has run for a while: creating one takes up to 50 ms, in which no transaction can commit."""

import pathlib
import subprocess

from . import processor

ROOT = pathlib.Path(__file__).parents[2]
# Segments of 16 MB each, which `min_wal_size` keeps.
SEGMENTS = 64


class Postgres:
    def __init__(self, *settings):
        self.settings = ("shared_buffers=256MB", f"min_wal_size={16 * SEGMENTS}MB", *settings)

    def __enter__(self):
        command = [ROOT / "scripts" / "postgres.sh", *self.settings]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address, self.folder, self.programs = (self.process.stdout.readline().strip() for _ in range(3))
        self.log = pathlib.Path(self.folder).with_name("server.log")
        self.pid = int((pathlib.Path(self.folder) / "postmaster.pid").read_text().split()[0])
        self.sql("postgres", "CHECKPOINT")
        for _ in range(SEGMENTS):
            self.sql("postgres", "SELECT pg_logical_emit_message(false, '', ''); SELECT pg_switch_wal();")
        self.sql("postgres", "CHECKPOINT")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def database(self, name):
        """Creates a database and returns its address."""
        self.sql("postgres", f"CREATE DATABASE {name}")
        return f"{self.address}/{name}"

    def drop(self, name):
        self.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def sql(self, database, text):
        """Returns the output of psql: one line per row, columns separated by bars."""
        command = [f"{self.programs}/psql", "-qAtX", "-v", "ON_ERROR_STOP=1", f"{self.address}/{database}", "-c", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def version(self):
        return self.sql("postgres", "SHOW server_version").split()[0]

    def processor_time(self):
        """Returns the processor seconds of the server and its child processes so far."""
        return processor.of_tree(self.pid)
