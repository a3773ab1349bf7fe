"""Query plans of claims, as `auto_explain` writes them into the server's log."""

import contextlib
import re

SETTINGS = {
    "session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
}
# Continuation lines of an entry begin with a tab.
ENTRY = re.compile(r"duration: ([\d.]+) ms  plan:\n\tQuery Text: WITH due AS MATERIALIZED.*\n((?:\t.*\n)*)")


@contextlib.contextmanager
def of_claim(postgres, database):
    """Explains the statements of new connections within the block; yields a function for the plan of a large claim."""
    begin = postgres.log.stat().st_size
    for name, value in SETTINGS.items():
        postgres.sql(database, f"ALTER DATABASE {database} SET {name} = '{value}'")
    found = []
    yield lambda: found[0]
    postgres.sql(database, f"ALTER DATABASE {database} RESET ALL")
    with postgres.log.open() as log:
        log.seek(begin)
        found.append(_middle(log.read()))


def _middle(log):
    claims = []
    for entry in ENTRY.finditer(log):
        plan = entry[2]
        top = re.search(r"CTE Scan on claimed .*actual time=\S+ rows=(\d+)", plan)
        buffers = re.search(r"Buffers: .*", plan[top.end():])
        claims.append((int(top[1]), float(entry[1]), buffers[0], list(_scans(plan))))
    largest = max(rows for rows, *_ in claims)
    full = sorted(claim for claim in claims if claim[0] == largest)
    rows, milliseconds, buffers, scans = full[len(full) // 2]
    return "\n".join([f"{rows} tasks, Execution Time: {milliseconds:.1f} ms, {buffers}", *scans])


def _scans(plan):
    """Yields the scans of a plan."""
    for line in plan.splitlines():
        if re.search(r"(Index|Seq|Bitmap|Tid).* Scan .*on (tasks|queue)", line):
            yield "    " + re.sub(r"\(cost=.*?\) ", "", line.strip().removeprefix("->").strip())
