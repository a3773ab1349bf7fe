"""Collects with psutil what one snapshot of the host holds, once for each line on standard input, and answers with the
seconds it took. Processes are kept between snapshots, as a program that watches a machine with psutil would."""

import sys
import time

import psutil

# How many processes stand out, as in the snapshot it is measured beside.
TOP = 10


def snapshot():
    psutil.cpu_percent(percpu=True)
    psutil.cpu_times()
    psutil.getloadavg()
    psutil.virtual_memory()
    psutil.swap_memory()
    for partition in psutil.disk_partitions():
        psutil.disk_usage(partition.mountpoint)
    psutil.disk_io_counters(perdisk=True)
    psutil.net_io_counters(pernic=True)
    psutil.sensors_temperatures()
    psutil.boot_time()
    processes = []
    for process in psutil.process_iter(["name", "status", "cpu_percent", "memory_info", "create_time"]):
        memory = process.info["memory_info"]
        processes.append((process.info["cpu_percent"] or 0.0, memory.rss if memory else 0, process))
    processes.sort(key=lambda one: one[:2], reverse=True)
    for _, _, process in processes[:TOP]:
        try:
            process.num_fds()
            process.rlimit(psutil.RLIMIT_NOFILE)
        except psutil.Error:
            pass  # It has ended, or belongs to somebody else.


for _ in sys.stdin:
    began = time.perf_counter()
    snapshot()
    print(time.perf_counter() - began, flush=True)
