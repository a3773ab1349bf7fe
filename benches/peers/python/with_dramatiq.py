"""dramatiq over Redis: `with_dramatiq.py ACTION URL COUNT`."""

import os
import queue
import sys
import time

# Enough that its threads never wait for the next fetch.
os.environ["dramatiq_queue_prefetch"] = "500"

import dramatiq  # noqa: E402
from dramatiq.brokers.redis import RedisBroker  # noqa: E402
from stage import Counter, hear, milliseconds, seconds  # noqa: E402

action, url = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0
broker = RedisBroker(url=url)
dramatiq.set_broker(broker)
counter = Counter()
began = queue.SimpleQueue()


@dramatiq.actor
def nothing():
    counter.done()
    if action == "latency":
        began.put(time.perf_counter())


def work():
    worker = dramatiq.Worker(broker, worker_threads=10)
    worker.start()
    return worker


if action == "fill":
    start = time.perf_counter()
    for _ in range(count):
        nothing.send()
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
        nothing.send()
        waited.append(began.get() - start)
    milliseconds(waited[20:])
sys.stdout.flush()
os._exit(0)
