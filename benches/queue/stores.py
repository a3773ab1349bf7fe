"""A new, empty store for each measurement."""

import contextlib
import itertools
import pathlib
import socket
import sqlite3
import subprocess
import tempfile
import time

from stage import processor
from stage.postgres import Postgres


class Stores:
    def __init__(self, *settings):
        self.settings = ["max_connections=200", *settings]

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.postgres = self.stack.enter_context(Postgres(*self.settings))
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.numbers = itertools.count()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # With Debian's default settings, which acknowledge before data is on the disk.
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.stack.callback(self.redis.wait)
        self.stack.callback(self.redis.terminate)
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.stack.close()

    @contextlib.contextmanager
    def new(self, peer):
        """Yields the address of an empty store. Dropping the previous database ended with a checkpoint, so no measurement
        writes out the data of another."""
        number = next(self.numbers)
        if peer.store == "postgres":
            name = f"bench_{number}"
            yield self.postgres.database(name)
            self.postgres.drop(name)
        elif peer.store == "redis":
            subprocess.run(["redis-cli", "-p", str(self.port), "flushall"], check=True, stdout=subprocess.DEVNULL)
            yield f"redis://127.0.0.1:{self.port}/0"
        else:
            path = self.folder / f"{number}.db"
            path.touch()
            yield f"sqlite://{path}"
            for file in self.folder.glob(f"{number}.db*"):
                file.unlink()

    def left(self, peer, url):
        """Returns the number of tasks without a recorded outcome; 0 if the peer cannot report it."""
        if not peer.left:
            return 0
        if peer.store == "postgres":
            return int(self.postgres.sql(url.rsplit("/", 1)[1], peer.left))
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite://"))) as connection:
            return connection.execute(peer.left).fetchone()[0]

    def processor_time(self, peer):
        """Returns the processor seconds of the store so far, if it is a process of its own."""
        if peer.store == "postgres":
            return self.postgres.processor_time()
        return processor.of_tree(self.redis.pid) if peer.store == "redis" else 0.0

    def written(self):
        """Returns the bytes of WAL so far."""
        return int(self.postgres.sql("postgres", "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def waits_for_locks(self):
        """Returns the number of connections that wait for a lock now."""
        where = "wait_event_type = 'Lock'"
        return int(self.postgres.sql("postgres", f"SELECT count(*) FROM pg_stat_activity WHERE {where}"))
