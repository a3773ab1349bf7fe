"""Collects the data of one host snapshot with psutil, once for each line on standard input, and prints the seconds.

Process objects are kept between snapshots, as a program that monitors a machine with psutil would keep them.
"""

import sys
import time

import psutil

# Number of listed processes, as in the snapshot that this is compared with.
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
            pass  # The process has ended, or belongs to another user.


for _ in sys.stdin:
    began = time.perf_counter()
    snapshot()
    print(time.perf_counter() - began, flush=True)
