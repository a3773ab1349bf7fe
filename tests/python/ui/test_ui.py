"""The web interface in a real Chromium, against the real server."""

import gzip
import os
import pathlib
import re
import subprocess
import time

import fill
import pytest

PROGRAMS = pathlib.Path(__file__).parent / "programs"
DOCUMENTS = pathlib.Path(__file__).parents[3] / "docs"
WORK = pathlib.Path(os.environ["SUTAZAI_TEST_UI"])
MODEL = pathlib.Path(os.environ["SUTAZAI_TEST_MODEL"])
WITH_MODEL = {"MODEL_BACKENDS": f"llama-cpp={MODEL}", "DEFAULT_MODEL": MODEL.stem}
# Only the browser resolves this name; a page under it is what a phone in the office sees.
OTHER_NAME = "office.test"


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    """Folder of the screenshots; `SUTAZAI_UI_SCREENSHOTS` names another one that is kept."""
    return os.environ.get("SUTAZAI_UI_SCREENSHOTS") or str(tmp_path_factory.mktemp("screenshots"))


@pytest.fixture(scope="session")
def program(screenshots):
    """Starts programs that drive a browser."""

    def program(name, server, *arguments, host="127.0.0.1", **options):
        address = server.address.replace("127.0.0.1", host)
        command = ["node", PROGRAMS / f"{name}.mjs", WORK, f"http://{address}", *map(str, arguments)]
        environment = os.environ | {"SUTAZAI_UI_SCREENSHOTS": screenshots}
        return subprocess.Popen(command, text=True, env=environment, **options)

    return program


@pytest.fixture(scope="session")
def run(program):
    """Runs programs to their ends; they fail with the faults that they saw."""

    def run(name, server, *arguments, **options):
        done = program(name, server, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        output, _ = done.communicate(timeout=1200)
        assert done.returncode == 0, output
        # `pytest -s` shows the figures that the programs measured.
        print(output, end="")
        return output

    return run


@pytest.fixture(scope="module")
def filled(start, run):
    """A server with a model and data of every page, and the addresses of the pages as JSON."""
    server = start(**WITH_MODEL)
    return server, run("fill", server, "model").strip()


def test_pages_are_small():
    """Compressed sizes: what the first page needs to work, everything, and the style sheet."""
    assets = WORK / "dist" / "assets"
    size = {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in assets.iterdir()}
    scripts = {name: bytes for name, bytes in size.items() if name.endswith(".js")}
    index = (WORK / "dist" / "index.html").read_text()
    first = {name: scripts[name] for name in re.findall(r"assets/([^\"]+\.js)", index)}
    # This machine shows its values before the charts are loaded.
    machine = next(name for name in scripts if name.startswith("machine"))
    imported = re.findall(r"from\"\./([^\"]+\.js)\"", (assets / machine).read_text())
    first |= {name: scripts[name] for name in [machine, *imported]}
    style = sum(bytes for name, bytes in size.items() if name.endswith(".css"))
    print(f"bytes: {sum(first.values())} before the first page works, {sum(scripts.values())} in all, {style} of style")
    assert sum(first.values()) <= 60 * 1024, first
    assert sum(scripts.values()) <= 120 * 1024, scripts
    assert style <= 14 * 1024


@pytest.mark.parametrize("host", ["127.0.0.1", OTHER_NAME])
def test_first_admin_does_everything_by_keyboard(start, run, host):
    """Also over plain HTTP under another name, where browsers offer neither locks nor a clipboard."""
    server = start(admin=False, **WITH_MODEL)
    run("journey", server, server.setup_code(), host=host)


def test_guided_tour_takes_its_pictures(start, run, tmp_path):
    server = start(admin=False, **WITH_MODEL)
    run("tour", server, server.setup_code(), tmp_path, DOCUMENTS)
    size = {picture.stem: picture.stat().st_size for picture in tmp_path.glob("*.webp")}
    shown = set(re.findall(r"images/([a-z-]+)\.webp", (DOCUMENTS / "tour.md").read_text()))
    # A machine without a finding has no evidence to show.
    assert shown - size.keys() <= {"evidence"}
    assert max(size.values()) < 120 * 1024, size


def test_tabs_share_session_and_stream(start, run):
    # This backend does not answer: the rules write.
    run("session", start(MODEL_BACKENDS="openai=http://127.0.0.1:9/v1"))


def test_pages_survive_that_the_server_is_killed(start, program):
    server = start()
    watched = program("lost", server, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert watched.stdout.readline() == "stop\n"
        server.process.kill()
        server.process.wait()
        print("stopped", file=watched.stdin, flush=True)
        assert watched.stdout.readline() == "start\n"
        server.launch()
        print("started", file=watched.stdin, flush=True)
        output, _ = watched.communicate(timeout=120)
        print(output, end="")
        assert watched.returncode == 0
    finally:
        watched.kill()


def test_every_page_is_accessible_in_both_themes_and_sizes(filled, run):
    run("pages", *filled)


def test_states_of_moments_are_accessible(start, run):
    run("moments", start(**WITH_MODEL))


def test_narrow_and_zoomed_windows_scroll_in_one_direction(filled, run):
    run("narrow", *filled)


def test_nothing_moves_while_pages_load(filled, run):
    run("shift", *filled)


def test_every_stop_of_the_tab_key_is_visible(filled, run):
    run("focus", *filled)


def test_signs_are_told_apart_without_color(filled, run):
    run("signs", *filled)


def test_pages_ask_little_and_keep_no_secret(filled, run):
    run("counts", *filled)


def test_state_without_model_docker_or_network_is_named(start, run):
    run("states", start(DOCKER_HOST="unix:///no/docker.sock"))


def test_users_never_see_each_other(start, run):
    run("users", start(**WITH_MODEL))


def test_long_lists_continue_and_a_deleted_task_is_named(start, run):
    server = start(**WITH_MODEL)
    for number in range(120):
        server.call("POST", "/api/v1/conversations", {"title": f"Conversation {number}"})
    for name in ("Night", "Noon"):
        schedule = {"name": name, "agent": "hardware-optimizer", "cron": "30 7 * * *", "time_zone": "UTC"}
        server.call("POST", "/api/v1/schedules", schedule)
    run("lists", server, 120)


@pytest.fixture(scope="module")
def crowded(start):
    """A server with 10,000 tasks and a day of history."""
    server = start(HISTORY_INTERVAL_SECONDS="1")
    task = server.call("POST", "/api/v1/agents/hardware-optimizer/analyze", {"use_model": False})
    for _ in range(600):
        if server.call("GET", f"/api/v1/tasks/{task['task_id']}")["status"] == "completed":
            break
        time.sleep(0.1)
    fill.tasks(server.database, 10_000)
    fill.until_measured(server.database)
    fill.metrics(server.database, 24 * 60)
    return server


def test_list_of_10000_tasks_draws_few_of_them(crowded, run):
    run("list", crowded, 10_000)


def test_page_left_open_does_not_grow(crowded, run):
    run("left-open", crowded)
