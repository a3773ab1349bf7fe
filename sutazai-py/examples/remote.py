"""Tasks on a server elsewhere: `python remote.py URL`, with an API key in SUTAZAI_API_KEY if its users sign in.

The server runs the agents. Their functions here only check the arguments and tell type checkers what the results are; a
program without them submits by name: `client.submit("add", {"x": 1, "y": 2})`.
"""

from __future__ import annotations

import os
import sys

import sutazai


@sutazai.agent
def add(x: int, y: int) -> int:
    """Adds two numbers."""
    return x + y


def total(api: sutazai.Api, pairs: list[tuple[int, int]]) -> int:
    """Adds up sums that an engine in this process, or a server, computes."""
    tasks = api.submit_all(add.task(x, y) for x, y in pairs)
    return sum(task.result(timeout=30) for task in api.tasks.as_completed(tasks))


def main(url: str, api_key: str | None) -> None:
    with sutazai.Client(url, api_key=api_key) as client:
        print(client.run(add.task(1, 2)))
        print(total(client, [(1, 2), (3, 4), (5, 6)]))
        try:
            client.submit("nobody", {})
        except sutazai.InvalidInputError as e:
            print(f"{e.field} is invalid")


if __name__ == "__main__":
    main(sys.argv[1], os.environ.get("SUTAZAI_API_KEY"))
