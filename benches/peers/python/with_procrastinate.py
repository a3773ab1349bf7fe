"""procrastinate: `with_procrastinate.py ACTION URL COUNT`."""

import asyncio
import sys
import time

import procrastinate
from stage import CALLERS, Counter, hear, milliseconds, seconds

action, url = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=12))
counter = Counter()
began = asyncio.Queue()


@app.task(name="nothing")
async def nothing():
    counter.done()
    if action == "latency":
        began.put_nowait(time.perf_counter())


def work():
    return asyncio.create_task(app.run_worker_async(concurrency=10, install_signal_handlers=False))


async def caller():
    for _ in range(count // CALLERS):
        await nothing.defer_async()


async def main():
    async with app.open_async():
        if action == "prepare":
            await app.schema_manager.apply_schema_async()
        elif action == "fill":
            start = time.perf_counter()
            for _ in range(0, count, 1000):
                await nothing.batch_defer_async(*[{} for _ in range(1000)])
            seconds(start)
        elif action == "single":
            await nothing.defer_async()
            start = time.perf_counter()
            await asyncio.gather(*[caller() for _ in range(CALLERS)])
            seconds(start)
        elif action == "drain":
            print("READY", flush=True)
            await asyncio.to_thread(hear, "GO")
            counter.keep_telling()
            worker = work()
            await asyncio.to_thread(hear, "STOP")
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            counter.tell()
        elif action == "latency":
            worker, waited = work(), []
            for _ in range(count + 20):
                await asyncio.sleep(0.005)
                start = time.perf_counter()
                await nothing.defer_async()
                waited.append(await began.get() - start)
            milliseconds(waited[20:])
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)


asyncio.run(main())
