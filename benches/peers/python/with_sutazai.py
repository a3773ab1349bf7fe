"""The Python package: `with_sutazai.py MODE ACTION URL COUNT`; its agent is a function in mode `sync`, else a coroutine."""

import queue
import sys
import time

import sutazai
from stage import Counter, hear, milliseconds, seconds

mode, action, url = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 0
counter = Counter()
began = queue.SimpleQueue()


def run():
    counter.done()
    if action == "latency":
        began.put(time.perf_counter())


if mode == "sync":

    @sutazai.agent
    def nothing() -> None:
        run()

else:

    @sutazai.agent
    async def nothing() -> None:
        run()


def engine(workers):
    return sutazai.Engine(url, agents=[nothing], workers=workers, environment=False)


if action == "prepare":
    engine(0).open().close()
elif action == "fill":
    with engine(0) as opened:
        start = time.perf_counter()
        for _ in range(0, count, 1000):
            opened.submit_all([nothing.task()] * 1000)
        seconds(start)
elif action == "drain":
    print("READY", flush=True)
    hear("GO")
    counter.keep_telling()
    with engine(10):
        hear("STOP")
    counter.tell()
elif action == "latency":
    waited = []
    with engine(10) as opened:
        for _ in range(count + 20):
            time.sleep(0.005)
            start = time.perf_counter()
            opened.submit(nothing.task())
            waited.append(began.get() - start)
    milliseconds(waited[20:])
