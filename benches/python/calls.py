"""Measures what single calls of the package cost, and prints the figures as JSON."""

import asyncio
import json
import statistics
import time

import psutil
import sutazai

NOTHING = ("watches.delete", {"watch": 0})
REPEATS = 5


@sutazai.agent
async def nothing() -> None:
    """Does nothing."""


def fastest(work, times):
    """Returns the microseconds of one of `times` calls, in the fastest of several repetitions."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(times):
            work()
        found.append(1e6 * (time.perf_counter() - began) / times)
    return min(found)


def synchronous():
    """Returns the cost of a request that does nothing, on this thread."""
    with sutazai.Engine(":memory:", workers=0, environment=False) as engine:
        return fastest(lambda: engine._transport.call(*NOTHING), 2_000)


async def asynchronous():
    """Returns the costs of the same request in an event loop, awaited alone and many at once."""
    alone, many = [], []
    async with sutazai.AsyncEngine(":memory:", workers=0, environment=False) as engine:
        for _ in range(REPEATS):
            began = time.perf_counter()
            for _ in range(1_000):
                await engine._transport.call(*NOTHING)
            alone.append(1e3 * (time.perf_counter() - began))
            began = time.perf_counter()
            await asyncio.gather(*(engine._transport.call(*NOTHING) for _ in range(1_000)))
            many.append(1e3 * (time.perf_counter() - began))
    return min(alone), min(many)


async def gathered(count):
    """Returns the microseconds for each of `count` results: submitted together, run and gathered."""
    async with sutazai.AsyncEngine(":memory:", agents=[nothing], environment=False) as engine:
        began = time.perf_counter()
        tasks = []
        for _ in range(0, count, 1_000):
            tasks += await engine.submit_all(nothing.task() for _ in range(1_000))
        await asyncio.gather(*(task.result() for task in tasks))
        return 1e6 * (time.perf_counter() - began) / count


def read_with_psutil():
    """Reads with psutil what a snapshot of the host has."""
    fields = ["pid", "name", "cpu_percent", "memory_info", "num_fds", "create_time", "status"]
    partitions = psutil.disk_partitions()
    return (
        psutil.cpu_percent(percpu=True), psutil.cpu_times_percent(), psutil.getloadavg(), psutil.virtual_memory(),
        psutil.swap_memory(), [psutil.disk_usage(one.mountpoint) for one in partitions], psutil.disk_io_counters(perdisk=True),
        psutil.net_io_counters(pernic=True), psutil.sensors_temperatures(), psutil.boot_time(),
        [process.info for process in psutil.process_iter(fields)],
    )


def snapshots():
    """Returns the milliseconds of a snapshot of the host, and of the same with psutil."""
    ours, theirs = [], []
    with sutazai.Engine(":memory:", workers=0, environment=False) as engine:
        for _ in range(20):
            began = time.perf_counter()
            engine.metrics.snapshot("host")
            between = time.perf_counter()
            read_with_psutil()
            ours.append(1e3 * (between - began))
            theirs.append(1e3 * (time.perf_counter() - between))
            # Rates need an interval since the last snapshot.
            time.sleep(0.12)
    return statistics.median(ours[1:]), statistics.median(theirs[1:])


def main():
    alone, many = asyncio.run(asynchronous())
    snapshot, psutils = snapshots()
    thousand, ten_thousand = asyncio.run(gathered(1_000)), asyncio.run(gathered(10_000))
    figures = {
        "request that does nothing, from a thread, us": synchronous(),
        "the same awaited alone, us": alone,
        "the same in a gather of 1,000, us each": many,
        "gather of 1,000 results, us a task": thousand,
        "gather of 10,000 results, us a task": ten_thousand,
        "10,000 results to 1,000, ratio": ten_thousand / thousand,
        "metrics.snapshot of the host, ms": snapshot,
        "the same fields with psutil, ms": psutils,
        "snapshot to psutil, ratio": snapshot / psutils,
    }
    print(json.dumps(figures))


main()
