"""Protocol of benches/queue/measure.py, shared by both Python peers."""

import sys
import threading
import time

CALLERS = 50


class Counter:
    """Number of run tasks, and the time of the last one."""

    def __init__(self):
        self.count = self.told = 0
        self.last = 0.0
        self.lock = threading.Lock()

    def done(self):
        with self.lock:
            self.count += 1
            self.last = time.time()

    def tell(self):
        with self.lock:
            count, last = self.count, self.last
        if count > self.told:
            print(f"DONE {count} {last:.6f}", flush=True)
            self.told = count

    def keep_telling(self):
        def tell():
            while True:
                time.sleep(0.02)
                self.tell()

        threading.Thread(target=tell, daemon=True).start()


def hear(word):
    """Waits until this word is received."""
    for line in sys.stdin:
        if line.strip() == word:
            return


def seconds(began):
    print(f"{time.perf_counter() - began:.6f}", flush=True)


def milliseconds(waited):
    print(" ".join(f"{1e3 * each:.4f}" for each in waited), flush=True)
