"""huey: `with_huey.py MODE ACTION URL COUNT`, over Redis, or over SQLite, where the mode is `synced` or `unsynced`."""

import os
import queue
import sys
import time

import huey
from stage import Counter, hear, milliseconds, seconds

mode, action, url = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 0
if mode == "redis":
    app = huey.RedisHuey("peer", url=url)
else:
    app = huey.SqliteHuey("peer", filename=url.removeprefix("sqlite://"), fsync=mode == "synced")
counter = Counter()
began = queue.SimpleQueue()


@app.task()
def nothing():
    counter.done()
    if action == "latency":
        began.put(time.perf_counter())


def work():
    # Over SQLite it polls: as often as is useful, not ten times a second as by default.
    app.create_consumer(workers=10, periodic=False, initial_delay=0.001, max_delay=0.01).start()


if action == "fill":
    start = time.perf_counter()
    for _ in range(count):
        nothing()
    seconds(start)
elif action == "drain":
    print("READY", flush=True)
    hear("GO")
    counter.keep_telling()
    work()
    hear("STOP")
    counter.tell()
elif action == "latency":
    work()
    waited = []
    for _ in range(count + 20):
        time.sleep(0.005)
        start = time.perf_counter()
        nothing()
        waited.append(began.get() - start)
    milliseconds(waited[20:])
sys.stdout.flush()
os._exit(0)
