#!/usr/bin/env python3
"""Uses an installed wheel: `wheel-check.py MODEL` imports it, runs a durable agent, analyzes this machine and generates 16
tokens. PYTHON_OF_MODELS is the interpreter that runs the model, for one that runs in an emulator."""

import os
import pathlib
import sys
import tempfile
import time


def state_of_process():
    """Returns what an import must not change: the environment, and the numbers of threads and of open files."""
    return dict(os.environ), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def variants_of_models():
    """Returns the names of the kernels that the child processes have loaded."""
    found = set()
    for thread in os.listdir("/proc/self/task"):
        for child in pathlib.Path(f"/proc/self/task/{thread}/children").read_text().split():
            maps = pathlib.Path(f"/proc/{child}/maps").read_text().splitlines()
            found |= {line.rsplit("/", 1)[1] for line in maps if "/libggml-cpu-" in line}
    return sorted(found)


before = state_of_process()
began = time.monotonic()
import sutazai  # noqa: E402

took = time.monotonic() - began
assert state_of_process() == before, (before, state_of_process())
assert "pydantic" not in sys.modules
package = pathlib.Path(sutazai.__file__).parent
assert package.is_relative_to(sys.prefix), package
libraries = {line[line.index("/") :] for line in open("/proc/self/maps") if "libllama" in line or "libggml" in line}
assert libraries and all(pathlib.Path(library).is_relative_to(package / "_native") for library in libraries), libraries
print(f"imported {sutazai.__version__} in {1000 * took:.0f} ms")


@sutazai.agent
def add(x: int, y: int) -> int:
    """Adds two numbers."""
    return x + y


sys.executable = os.environ.pop("PYTHON_OF_MODELS", sys.executable)
with tempfile.TemporaryDirectory() as folder:
    database = f"{folder}/tasks.db"
    with sutazai.Engine(database, agents=[add], workers=0) as engine:
        id = engine.submit(add.task(1, 2)).id
    with sutazai.Engine(database, agents=[add]) as engine:
        assert engine.tasks.handle(id, int).result(timeout=120) == 3
print("a task that was submitted before the engine opened has its result")

analysis = sutazai.analyze(use_model=False)
print(f"analysis: {analysis.priority_level}, {len(analysis.findings)} findings")

settings = {"MODEL_TIMEOUT_SECONDS": "3600"}
with sutazai.Engine(":memory:", models=[sys.argv[1]], settings=settings) as engine:
    began = time.monotonic()
    answer = engine.models.complete("Name the planets.", max_tokens=16, temperature=0, seed=1, timeout=3600)
    took = time.monotonic() - began
    assert answer.usage.completion_tokens == 16, answer
    print(f"16 tokens in {took:.1f} s with {variants_of_models()}: {answer.text!r}")
