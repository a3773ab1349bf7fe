"""Agents of worker processes. `python -m sutazai worker worker_app:AGENTS --database tasks.db` runs their tasks until a signal
ends it; start as many as you like. `python worker_app.py tasks.db` submits tasks to them and prints the results."""

import sys
from typing import Any

import sutazai


@sutazai.agent
def count_words(text: str) -> int:
    """Counts the words of a text."""
    return len(text.split())


@sutazai.agent
async def shout(text: str) -> str:
    """Writes a text in capital letters."""
    return text.upper()


AGENTS: list[sutazai.Agent[..., Any]] = [count_words, shout]


def main(database: str) -> None:
    # Without workers of its own, this process only submits tasks and waits for their ends.
    with sutazai.Engine(database, agents=AGENTS, workers=0) as engine:
        counts = engine.submit_all(count_words.task(text) for text in ("one", "one two", "one two three"))
        print(sorted(task.result() for task in engine.tasks.as_completed(counts)))
        print(engine.run(shout.task("done")))


if __name__ == "__main__":
    main(sys.argv[1])
