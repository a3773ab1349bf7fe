"""Processor time of processes and of the machine."""

import os
import pathlib

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _children(pid):
    # Each thread of a process has its own list of children.
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (thread / "children").read_text().split())


def of_tree(pid):
    """Returns the processor seconds of a process and its descendants so far, including ended ones."""
    try:
        fields, children = _stat(pid), list(_children(pid))
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS + sum(map(of_tree, children))


def of_machine():
    """Returns the busy seconds of all processors so far."""
    fields = list(map(int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / TICKS
