"""What is compared: how each is started, over which store, and how many tasks it gets, so that a slow one ends too."""

import dataclasses
import os
import pathlib

PEERS = pathlib.Path(__file__).parents[1] / "peers"
# A copy of peers/node, where its packages are.
NODE = pathlib.Path(os.environ["PEERS_OF_NODE"])


@dataclasses.dataclass
class Peer:
    name: str
    command: list
    store: str = "postgres"
    tasks: int = 20_000
    singles: int = 5_000
    # How to ask what is left: nothing may be lost, and a task that is claimed and not recorded is not done.
    left: str = ""
    # Whether several processes may share its store.
    processes: bool = True


def peers(ours, node, python, apalis):
    def graphile(mode):
        return [node, NODE / "graphile.mjs", mode]

    left_of_ours = "SELECT count(*) FROM tasks WHERE status <> 'completed'"
    left_of_graphile = "SELECT count(*) FROM graphile_worker._private_jobs"
    all_ = [
        Peer("SutazAI", [ours], left=left_of_ours),
        Peer("graphile-worker, tuned", graphile("tuned"), left=left_of_graphile),
        Peer("graphile-worker", graphile("default"), tasks=5_000, left=left_of_graphile),
        Peer("pg-boss", [node, NODE / "boss.mjs"], left="SELECT count(*) FROM pgboss.job WHERE state < 'completed'"),
        Peer("procrastinate", [python, PEERS / "python" / "with_procrastinate.py"], tasks=1_000, singles=1_000,
             left="SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"),
        Peer("apalis-postgres", [apalis, "postgres"], tasks=5_000,
             left="SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'"),
        Peer("celery, Redis", [python, PEERS / "python" / "with_celery.py"], store="redis", tasks=5_000, singles=2_000),
        Peer("SutazAI, SQLite", [ours], store="sqlite", left=left_of_ours, processes=False),
        Peer("apalis-sqlite", [apalis, "sqlite"], store="sqlite", tasks=5_000, singles=2_000,
             left="SELECT count(*) FROM Jobs WHERE status <> 'Done'", processes=False),
    ]
    return [peer for peer in all_ if peer.command[0]]
