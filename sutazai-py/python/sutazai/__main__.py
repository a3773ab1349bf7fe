"""Command line: `python -m sutazai worker module:agents` runs the tasks of agents until a signal ends it."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from . import Agent, Engine


def engine_of(target: str, database: str | None, workers: int | None) -> Engine:
    """Returns the engine that `module:attribute` names, or one with the agents that it names."""
    module, separator, attribute = target.partition(":")
    if not separator:
        raise SystemExit(f"expected module:attribute, such as app:AGENTS, got {target!r}")
    sys.path.insert(0, "")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as e:
        if e.name != module:
            raise
        raise SystemExit(f"no module is called {module!r}") from e
    except AttributeError as e:
        raise SystemExit(str(e)) from e
    if isinstance(found, Engine):
        if database is not None or workers is not None:
            raise SystemExit(f"{target} is an engine, which has its own database and workers")
        return found
    agents: Any = [found] if isinstance(found, Agent) else found
    try:
        listed: list[Any] = list(agents)
    except TypeError:
        raise SystemExit(f"expected an Engine, an agent or a list of agents at {target}, got {found!r}") from None
    if not all(isinstance(agent, Agent) for agent in listed):
        raise SystemExit(f"expected agents, which @sutazai.agent makes, at {target}, got {listed!r}")
    return Engine(database, agents=listed, workers=workers)


def main() -> None:
    """Runs the command of this process."""
    parser = argparse.ArgumentParser(prog="python -m sutazai", description="Runs tasks of agents in Python.")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser("worker", help="run tasks until SIGTERM or Ctrl-C")
    worker.add_argument("target", metavar="module:attribute", help="an Engine, or a list of agents")
    worker.add_argument("--database", help="path or address; by default the setting DATABASE_URL")
    worker.add_argument("--workers", type=int, help="number of tasks that run at once")
    arguments = parser.parse_args()
    engine_of(arguments.target, arguments.database, arguments.workers).run_forever()


if __name__ == "__main__":
    main()
