"""A script: tasks in an SQLite file, run by a function of this program."""

import sys

import sutazai


@sutazai.agent
def add(x: int, y: int) -> int:
    """Adds two numbers."""
    return x + y


def main(database: str) -> None:
    with sutazai.Engine(database, agents=[add]) as engine:
        print(engine.run(add.task(1, 2)) + 1)
        # Submitted again with this key, it is the same task: the sum is computed once.
        task = engine.submit(add.task(3, 4).but(priority=9, idempotency_key="sum of 3 and 4"))
        print(task.result(timeout=5))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ":memory:")
