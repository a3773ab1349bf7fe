"""Analysis of this machine without an engine."""

from __future__ import annotations

import os
import pickle
import re
import threading
import time
from pathlib import Path

import pytest

import sutazai


def test_version_matches_the_workspace() -> None:
    manifest = (Path(__file__).parents[2] / "Cargo.toml").read_text("utf-8")
    found = re.search(r'^version = "(.*)"', manifest, re.M)
    assert found and found[1] == sutazai.__version__


def test_rules_work_without_a_model() -> None:
    result = sutazai.analyze(use_model=False)
    assert result.generated_by == "rules" and result.model is None
    host = result.metrics.host
    assert not isinstance(host, sutazai.Missing) and host["cpu"]["cores"] == os.cpu_count()
    assert len(result.recommendations) == len(result.findings)
    assert sutazai.Analysis.from_dict(result.to_dict()) == result == pickle.loads(pickle.dumps(result))


SCRIPT = "<script>alert(1)</script>"


def test_names_of_others_are_escaped_in_notebooks() -> None:
    data = sutazai.analyze(use_model=False).to_dict()
    data["summary"] = SCRIPT
    host = data["metrics"]["host"]["value"]
    host["hostname"] = host["cpu"]["model"] = SCRIPT
    for disk in host["disks"]:
        disk["mount"] = SCRIPT
    assert host["processes"]["top"]
    for process in host["processes"]["top"]:
        process["name"] = SCRIPT
    container = {"name": SCRIPT, "image": SCRIPT, "state": SCRIPT, "memory_used_percent": 12.5}
    data["metrics"]["containers"] = {"status": "present", "value": {"containers": [container]}}
    gpu = {"index": 0, "name": SCRIPT, "used_percent": None}
    data["metrics"]["gpus"] = {"status": "present", "value": [gpu]}
    data["metrics"]["custom"] = {SCRIPT: {"status": "missing", "reason": SCRIPT}}
    finding = {"id": "x", "rule": "x", "severity": SCRIPT, "resource": SCRIPT, "summary": SCRIPT}
    data["findings"] = [{**finding, "evidence": [], "remedies": []}]
    text = {"finding_id": "x", "severity": SCRIPT, "resource": SCRIPT, "text": SCRIPT, "text_by": "rules"}
    data["recommendations"] = [{**text, "commands": [SCRIPT]}]
    report = sutazai.Analysis.from_dict(data)
    for html, times in ((report._repr_html_(), 6), (report.metrics._repr_html_(), 9)):
        assert html.count("&lt;script&gt;") >= times and "<script>" not in html, html
    assert '<meter min="0" max="100" high="90" value="12.5"></meter> 12 %' in report.metrics._repr_html_()


def test_snapshot_names_the_sections_that_are_missing() -> None:
    snapshot = sutazai.metrics.snapshot()
    html = snapshot._repr_html_()
    for name in ("host", "pressure", "cgroup", "containers", "gpus"):
        is_missing = isinstance(getattr(snapshot, name), sutazai.Missing)
        assert (f"<th>{name}</th><td>not measured</td>" in html) == is_missing, html


def test_unmeasured_model_leaves_the_texts_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_BACKENDS", "llama-cpp=" + os.environ["SUTAZAI_TEST_MODEL"])
    result = sutazai.analyze()
    assert result.generated_by == "rules" and result.degraded and "sutazai models check" in result.degraded
    texts = result.grounding["texts"]
    assert [checked["finding_id"] for checked in texts] == [finding.id for finding in result.findings]
    for checked, recommendation in zip(texts, result.recommendations):
        for assertion in checked["assertions"]:
            assert recommendation.text[assertion["start"] : assertion["end"]] == assertion["text"]


def test_analysis_releases_the_interpreter_lock() -> None:
    ticks = list[float]()
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    sutazai.analyze(use_model=False)
    done.set()
    thread.join()
    assert len(ticks) > 10


def test_snapshot_needs_no_engine() -> None:
    snapshot = sutazai.metrics.snapshot()
    assert not isinstance(snapshot.host, sutazai.Missing) and snapshot.host["processes"]


def test_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(sutazai.InvalidInputError, match="WORKERS: expected a whole number"):
        sutazai.analyze(use_model=False)


def test_positional_arguments_are_rejected() -> None:
    with pytest.raises(TypeError):
        sutazai.analyze(False)  # type: ignore  # pyright: ignore
