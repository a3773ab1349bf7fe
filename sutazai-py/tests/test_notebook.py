"""Notebooks: the example is executed in a kernel, a cell that ran again replaces its agent, and an interrupt ends a wait."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.ipynb"
LIMIT = 60

nbformat: Any = importlib.import_module("nbformat")
nbclient: Any = importlib.import_module("nbclient")
manager: Any = importlib.import_module("jupyter_client.manager")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, os.fspath(tmp_path / name))


def test_example_is_stored_without_outputs_and_runs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    assert all(not cell.outputs and cell.execution_count is None for cell in cells.values())
    nbclient.NotebookClient(notebook, timeout=LIMIT, kernel_name="python3").execute()

    def output(id: str, kind: str) -> str:
        (found,) = (out for out in cells[id].outputs if out.get("name") != "stderr")
        return str(found["text"] if kind == "text" else found["data"][kind])

    assert "<table>" in output("machine", "text/html")
    assert "<table>" in output("analysis", "text/html")
    assert output("agent", "text/plain") == "3"
    assert "completed" in output("task", "text/html") and "&lt;3&gt;" in output("task", "text/html")
    assert output("await", "text") == "11\n"


class Kernel:
    """A kernel that runs cells one after another."""

    def __init__(self) -> None:
        self.manager, self.client = manager.start_new_kernel(startup_timeout=LIMIT)

    def run(self, code: str) -> str:
        """Runs a cell and returns what it prints."""
        printed: list[str] = []

        def keep(message: Any) -> None:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, timeout=LIMIT, output_hook=keep)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)

    def interrupt(self, code: str, when: str) -> str:
        """Runs a cell, interrupts it once it has printed `when`, and returns the name of its exception."""
        self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=LIMIT)
            if message["msg_type"] == "stream" and when in message["content"]["text"]:
                break
        self.manager.interrupt_kernel()
        return str(self.client.get_shell_msg(timeout=LIMIT)["content"].get("ename"))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    started = Kernel()
    try:
        yield started
    finally:
        started.client.stop_channels()
        started.manager.shutdown_kernel(now=True)


AGENT = """
@sutazai.agent
def shift(number: int) -> int:
    return number + 1

engine.register(shift)
"""


def test_cell_that_runs_again_replaces_its_agent(kernel: Kernel) -> None:
    kernel.run("import sutazai; engine = sutazai.Engine(':memory:').open()")
    kernel.run(AGENT)
    assert kernel.run("print(engine.run(shift.task(1)))") == "2\n"
    kernel.run(AGENT.replace("int", "float").replace("+ 1", "+ 0.5"))
    assert kernel.run("print(engine.run(shift.task(1.25)))") == "1.75\n"
    # The function became a coroutine.
    kernel.run(AGENT.replace("def", "async def").replace("+ 1", "+ 2"))
    assert kernel.run("print(engine.run(shift.task(1)))") == "3\n"
    assert kernel.run("print([agent.name for agent in engine.agents()].count('shift'))") == "1\n"
    kernel.run("engine.close()")


def test_interrupt_of_the_kernel_ends_a_wait_and_leaves_the_engine(kernel: Kernel) -> None:
    kernel.run("import sutazai; engine = sutazai.Engine(':memory:', shutdown_grace=0).open()")
    kernel.run(AGENT)
    kernel.run(
        "import time\n"
        "@sutazai.agent\n"
        "def endless() -> None:\n"
        "    print('begun', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.01)\n"
        "engine.register(endless)\n"
    )
    assert kernel.interrupt("engine.run(endless.task())", "begun") == "KeyboardInterrupt"
    assert kernel.run("print(engine.run(shift.task(1)))") == "2\n"
    kernel.run("engine.close()")
