import doctest
import os
import re
import threading
import time

import pytest

import sutazai


@pytest.fixture(autouse=True)
def own_database(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite://{tmp_path}/sutazai.db")
    monkeypatch.delenv("MODEL_BACKENDS", raising=False)


def test_version_is_that_of_the_workspace():
    manifest = os.path.join(os.path.dirname(__file__), "..", "..", "Cargo.toml")
    with open(manifest, encoding="utf-8") as file:
        assert re.search(r'^version = "(.*)"', file.read(), re.M).group(1) == sutazai.__version__


def test_rules_alone():
    result = sutazai.analyze(use_model=False)
    assert result["generated_by"] == "rules" and result["model"] is None
    host = result["metrics"]["host"]["value"]
    assert host["cpu"]["cores"] == os.cpu_count()
    assert len(result["recommendations"]) == len(result["findings"])


def test_the_embedded_model_writes(monkeypatch):
    monkeypatch.setenv("MODEL_BACKENDS", "llama-cpp=" + os.environ["SUTAZAI_TEST_MODEL"])
    result = sutazai.analyze()
    grounding = result["grounding"]
    assert grounding["claims"] == grounding["supported"]
    if result["findings"]:
        assert result["model"]["backend"] == "llama-cpp"


def test_other_threads_run_meanwhile():
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    sutazai.analyze(use_model=False)
    done.set()
    thread.join()
    assert len(ticks) > 10


def test_a_bad_setting_is_named(monkeypatch):
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(sutazai.SutazaiError, match="WORKERS: expected a whole number"):
        sutazai.analyze(use_model=False)


def test_positional_arguments_are_refused():
    with pytest.raises(TypeError):
        sutazai.analyze(False)


def test_the_docs_examples_hold():
    assert doctest.testmod(sutazai).failed == 0
