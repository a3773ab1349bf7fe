"""Starts the measured programs and talks with them: READY, GO, DONE, STOP."""

import subprocess
import sys
import threading
import time

from stage import processor

PATIENCE = 300


def ask(peer, action, url, *numbers):
    """Runs an action that ends by itself, and returns its last line."""
    command = [*map(str, peer.command), action, url, *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        sys.exit(f"{peer.name} {action} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else ""


class Worker:
    """A process that runs tasks until it is stopped."""

    def __init__(self, peer, url):
        command = [*map(str, peer.command), "drain", url, "0"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.ready = threading.Event()
        self.count, self.last = 0, 0.0
        threading.Thread(target=self.listen, daemon=True).start()
        if not self.ready.wait(60):
            sys.exit(f"{peer.name} does not get ready")

    def listen(self):
        for line in self.process.stdout:
            words = line.split()
            if words[:1] == ["READY"]:
                self.ready.set()
            elif words[:1] == ["DONE"]:
                self.count, self.last = int(words[1]), float(words[2])

    def say(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def stop(self):
        self.say("STOP")
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()


def waits(peer, action, url, *numbers):
    """Returns p50 and p95 of the waits that the program prints, in milliseconds."""
    waited = sorted(map(float, ask(peer, action, url, *numbers).split()))
    return waited[len(waited) // 2], waited[len(waited) * 95 // 100]


def drain(peer, url, count, processes, database, left=None):
    """Returns tasks per second from GO to the last of `count` tasks, and the processor seconds of workers and database. If
    `left` can be queried without disturbing, the time ends when the last outcome is recorded."""
    workers = [Worker(peer, url) for _ in range(processes)]

    def used():
        return sum(processor.of_tree(worker.process.pid) for worker in workers) + database()

    before, began = used(), time.time()
    for worker in workers:
        worker.say("GO")
    while sum(worker.count for worker in workers) < count:
        if time.time() - began > PATIENCE or any(worker.process.poll() is not None for worker in workers):
            sys.exit(f"{peer.name}: {sum(worker.count for worker in workers)} of {count} tasks were run")
        time.sleep(0.005)
    while left and left():
        if time.time() - began > PATIENCE:
            sys.exit(f"{peer.name} has not recorded all of {count} tasks")
        time.sleep(0.005)
    after, ended = used(), time.time() if left else max(worker.last for worker in workers)
    done = sum(worker.count for worker in workers)
    for worker in workers:
        worker.stop()
    return done / (ended - began), after - before
