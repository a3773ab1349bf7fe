"""taskiq over Redis: `with_taskiq.py ACTION URL COUNT`."""

import asyncio
import os
import queue
import sys
import time

from stage import Counter, hear, milliseconds, seconds
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

action, url = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0
broker = ListQueueBroker(url=url)
counter = Counter()
began = queue.SimpleQueue()


@broker.task(task_name="nothing")
def nothing():
    counter.done()
    if action == "latency":
        began.put(time.perf_counter())


def work():
    return asyncio.create_task(run_receiver_task(broker, sync_workers=10, max_async_tasks=100, max_prefetch=100))


async def main():
    await broker.startup()
    if action == "fill":
        start = time.perf_counter()
        for _ in range(count):
            await nothing.kiq()
        seconds(start)
    elif action == "drain":
        print("READY", flush=True)
        await asyncio.to_thread(hear, "GO")
        counter.keep_telling()
        worker = work()
        await asyncio.to_thread(hear, "STOP")
        worker.cancel()
        counter.tell()
    elif action == "latency":
        worker, waited = work(), []
        for _ in range(count + 20):
            await asyncio.sleep(0.005)
            start = time.perf_counter()
            await nothing.kiq()
            waited.append(await asyncio.to_thread(began.get) - start)
        milliseconds(waited[20:])
        worker.cancel()
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
