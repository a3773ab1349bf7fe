"""The package as a whole: generated sources, types, examples and documentation."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sutazai

FOLDER = Path(__file__).parents[1]
ROOT = FOLDER.parent
EXAMPLES = FOLDER / "examples"


def run(*command: str | Path, folder: Path = FOLDER) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_synchronous_sources_are_generated_from_the_asynchronous_ones() -> None:
    run(ROOT / "scripts" / "python-sync.py", "--check")


def test_sources_tests_and_examples_pass_mypy() -> None:
    run("-m", "mypy")


def test_sources_tests_and_examples_pass_pyright() -> None:
    run("-m", "pyright", "--pythonpath", sys.executable)


def test_stub_of_the_native_module_is_what_it_has() -> None:
    run("-m", "mypy.stubtest", "sutazai._sutazai")


WRONG_USES = '''
import sutazai

@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y

@sutazai.agent
async def name(number: int) -> str:
    return str(number)

engine = sutazai.Engine(":memory:", agents=[add, name])
one: str = engine.run(add.task(1, 2))
two = engine.submit(add.task("1", 2))
three = add.task(1, 2).but(urgency=3)
four = engine.submit(name.task(1)).result() + 1
five = sutazai.Engine(agent=[add])
six = add(1)
seven = engine.submit(add.task(1, 2)).result(timeout="soon")
eight: int = engine.tasks.get(7)
nine = [task.result().upper() for task in engine.tasks.as_completed(engine.submit_all([add.task(1, 2)]))]

async def main(engine: sutazai.AsyncEngine) -> int:
    ten: int = engine.run(add.task(1, 2))
    return await engine.run(name.task(1))
'''


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_wrong_uses_are_found_by_type_checkers(checker: str, tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(WRONG_USES, "utf-8")
    options = ["--strict"] if checker == "mypy" else ["--pythonpath", sys.executable]
    environment = {**os.environ, "MYPYPATH": os.fspath(FOLDER / "python"), "PYTHONPATH": os.fspath(FOLDER / "python")}
    done = subprocess.run(
        [sys.executable, "-m", checker, *options, program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = WRONG_USES.splitlines()
    wrong = {n for n, line in enumerate(lines, 1) if re.match(r" *(one|t\w+|f\w+|s\w+|e\w+|nine|ten)(: \w+)? = ", line)}
    wrong -= {lines.index('engine = sutazai.Engine(":memory:", agents=[add, name])') + 1}
    wrong.add(len(lines))
    found = {int(line) for line in re.findall(r"wrong\.py:(\d+):.*error", done.stdout)}
    assert found == wrong, done.stdout


def test_script_example() -> None:
    assert run(EXAMPLES / "script.py") == "4\n7\n"


def test_script_example_computes_a_sum_once(tmp_path: Path) -> None:
    for _ in range(2):
        assert run(EXAMPLES / "script.py", tmp_path / "tasks.db") == "4\n7\n"
    with sutazai.Engine(tmp_path / "tasks.db") as engine:
        assert len(list(engine.tasks.list(agent="add"))) == 3


def test_progress_example() -> None:
    output = run(EXAMPLES / "progress.py").split("\n")
    assert [line for line in output if "%" in line] == ["50% a", "100% b"]
    assert output[-3:] == ["2 pages", "cancelled", ""]


def test_invoices_example() -> None:
    assert run(EXAMPLES / "invoices.py").splitlines() == [
        "7 1.50",
        "2.25",
        "invalid_input - text: expected a number and a total - InvalidInputError",
    ]


def test_worker_example(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(EXAMPLES)}
    worker = ["-W", "ignore::RuntimeWarning", "-m", "sutazai", "worker", "worker_app:AGENTS", "--database", "tasks.db"]
    with subprocess.Popen([sys.executable, *worker], cwd=tmp_path, env=environment) as process:
        try:
            assert run(EXAMPLES / "worker_app.py", "tasks.db", folder=tmp_path) == "[1, 2, 3]\nDONE\n"
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_examples_are_short() -> None:
    for example in EXAMPLES.iterdir():
        if example.is_file():
            assert len(example.read_text("utf-8").splitlines()) < 100, example


def test_docstring_examples_pass() -> None:
    results = doctest.testmod(sutazai)
    assert results.failed == 0 and results.attempted > 0


@pytest.mark.parametrize("page", ["docs/python.md", "sutazai-py/README.md"])
def test_examples_of_the_pages_run(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text("utf-8")
    # The examples of a page continue each other; a block of text after one is its output.
    blocks = re.findall(r"```(python|text)\n(.*?)```", text, re.S)
    assert any(language == "python" for language, _ in blocks)
    program, expected = "", ""
    for language, block in blocks:
        if language == "python":
            program += block + "\n"
        else:
            expected += block
    script = tmp_path / "page.py"
    script.write_text(program, "utf-8")
    assert run(script, folder=tmp_path) == expected
