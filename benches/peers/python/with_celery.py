"""Celery over Redis: `with_celery.py ACTION URL COUNT`. Its tasks run in threads: ten processes would share two
processors, and counting tasks across processes would cost time."""

import os
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import celery
from stage import CALLERS, Counter, hear, milliseconds, seconds

action, url = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0
app = celery.Celery("peer", broker=url)
app.conf.update(
    task_ignore_result=True, worker_prefetch_multiplier=50, broker_pool_limit=CALLERS, task_default_queue="nothing"
)
counter = Counter()
began = queue.Queue()


@app.task(name="nothing")
def nothing():
    counter.done()
    if action == "latency":
        began.put(time.perf_counter())


def work():
    worker = app.WorkController(
        hostname=f"worker-{os.getpid()}", pool_cls="threads", concurrency=10, loglevel="ERROR",
        without_gossip=True, without_mingle=True, without_heartbeat=True,
    )
    threading.Thread(target=worker.start, daemon=True).start()
    return worker


def main():
    if action == "fill":
        start = time.perf_counter()
        with app.producer_pool.acquire() as producer:
            for _ in range(count):
                nothing.apply_async(producer=producer)
        seconds(start)
    elif action == "single":
        nothing.delay()
        start = time.perf_counter()
        with ThreadPoolExecutor(CALLERS) as callers:
            for _ in range(CALLERS):
                callers.submit(lambda: [nothing.delay() for _ in range(count // CALLERS)])
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
            nothing.delay()
            waited.append(began.get() - start)
        milliseconds(waited[20:])
    sys.stdout.flush()
    os._exit(0)


main()
