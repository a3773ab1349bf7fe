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


def test_version_matches_the_workspace():
    manifest = os.path.join(os.path.dirname(__file__), "..", "..", "Cargo.toml")
    with open(manifest, encoding="utf-8") as file:
        assert re.search(r'^version = "(.*)"', file.read(), re.M).group(1) == sutazai.__version__


def test_rules_work_without_a_model():
    result = sutazai.analyze(use_model=False)
    assert result["generated_by"] == "rules" and result["model"] is None
    host = result["metrics"]["host"]["value"]
    assert host["cpu"]["cores"] == os.cpu_count()
    assert len(result["recommendations"]) == len(result["findings"])


def test_unmeasured_model_leaves_the_texts_to_the_rules(monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL_BACKENDS", "llama-cpp=" + os.environ["SUTAZAI_TEST_MODEL"])
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = sutazai.analyze()
    assert result["generated_by"] == "rules" and "sutazai models check" in result["degraded"]
    grounding = result["grounding"]
    assert [checked["finding_id"] for checked in grounding["texts"]] == [
        finding["id"] for finding in result["findings"]
    ]
    for checked, recommendation in zip(grounding["texts"], result["recommendations"]):
        for assertion in checked["assertions"]:
            assert recommendation["text"][assertion["start"] : assertion["end"]] == assertion["text"]


def test_analysis_releases_the_interpreter_lock():
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


def test_invalid_setting_is_named(monkeypatch):
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(sutazai.SutazaiError, match="WORKERS: expected a whole number"):
        sutazai.analyze(use_model=False)


def test_positional_arguments_are_rejected():
    with pytest.raises(TypeError):
        sutazai.analyze(False)


def test_docstring_examples_pass():
    assert doctest.testmod(sutazai).failed == 0
