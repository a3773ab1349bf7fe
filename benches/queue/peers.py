"""The compared queues: how each is started, its store, and its number of tasks, so that slow ones end too."""

import dataclasses
import os
import pathlib

# Bulk submissions have batches of 1,000.
MOST = -(-int(os.environ.get("TASKS", "20000")) // 1_000) * 1_000
PEERS = pathlib.Path(__file__).parents[1] / "peers"
# A copy of peers/node next to its installed packages.
NODE = pathlib.Path(os.environ["PEERS_OF_NODE"])


@dataclasses.dataclass
class Peer:
    name: str
    command: list
    store: str = "postgres"
    tasks: int = 20_000
    singles: int = 5_000
    # Query of unfinished tasks: none may be lost, and a claimed task without a recorded outcome is not done.
    left: str = ""
    # Whether several processes can share its store.
    processes: bool = True
    # Peer to whose figures its own are compared.
    compared_to: str = "graphile-worker, tuned"
    # Whether it can report how long tasks wait that are submitted at a fixed rate.
    pickup: bool = False

    def __post_init__(self):
        self.tasks, self.singles = min(self.tasks, MOST), min(self.singles, MOST)


def peers(ours, node, python, apalis, awa):
    def graphile(mode):
        return [node, NODE / "graphile.mjs", mode]

    left_of_ours = "SELECT count(*) FROM tasks WHERE status <> 'completed'"
    left_of_graphile = "SELECT count(*) FROM graphile_worker._private_jobs"
    all_ = [
        Peer("SutazAI", [ours], left=left_of_ours, pickup=True),
        Peer("graphile-worker, tuned", graphile("tuned"), left=left_of_graphile, pickup=True),
        Peer("graphile-worker", graphile("default"), tasks=5_000, left=left_of_graphile),
        Peer("pg-boss", [node, NODE / "boss.mjs"], left="SELECT count(*) FROM pgboss.job WHERE state < 'completed'"),
        Peer("procrastinate", [python, PEERS / "python" / "with_procrastinate.py"], tasks=1_000, singles=1_000,
             left="SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"),
        Peer("apalis-postgres", [apalis, "postgres"],
             left="SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'"),
        Peer("awa", [awa], left="SELECT count(*) FROM awa.jobs WHERE state <> 'completed'"),
        Peer("celery, Redis", [python, PEERS / "python" / "with_celery.py"], store="redis", tasks=5_000, singles=2_000),
        Peer("SutazAI, SQLite", [ours], store="sqlite", left=left_of_ours, processes=False, compared_to="apalis-sqlite"),
        Peer("apalis-sqlite", [apalis, "sqlite"], store="sqlite", singles=2_000,
             left="SELECT count(*) FROM Jobs WHERE status <> 'Done'", processes=False, compared_to="apalis-sqlite"),
    ]
    return all_
