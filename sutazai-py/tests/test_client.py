"""Clients of a server: sign-in, API keys, repetitions, errors, and what a server cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import sutazai
from sutazai.testing import ScriptedModel, no_models
from sutazai.testing import engine as testing_engine

PASSWORD = "correct horse battery"
USERS = {
    "ADMIN_USERNAME": "root_1",
    "ADMIN_PASSWORD": PASSWORD,
    # Fast hashes, and no limit that the many sign-ins of the tests would reach.
    "ARGON2_MEMORY_KIB": "8192",
    "ARGON2_ITERATIONS": "3",
    "RATE_LIMIT_AUTH_PER_MINUTE": "1000",
    "RATE_LIMIT_PER_MINUTE": "1000",
}
OPEN = {"ENABLE_AUTH": "false"}


@sutazai.agent
def add(x: int, y: int) -> int:
    return x + y


@sutazai.agent
def wait_for_file(path: str) -> int:
    context = sutazai.current()
    while not os.path.exists(path):
        context.sleep(0.02)
    return 1


def engine(settings: dict[str, str], **options: Any) -> sutazai.Engine:
    return sutazai.Engine(":memory:", agents=[add, wait_for_file], settings=settings, environment=False, **options)


def call(url: str, path: str, body: Any, token: str | None = None) -> Any:
    """Makes a request without the package."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url + path, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["data"]


def api_key(url: str, scopes: list[str]) -> str:
    token = call(url, "/api/v1/auth/login", {"login": "root_1", "password": PASSWORD})["access_token"]
    made = call(url, "/api/v1/auth/api-keys", {"name": "test", "scopes": scopes}, token)
    return str(made["key"])


# ---- users


def test_user_signs_in_and_owns_their_tasks() -> None:
    with engine(USERS) as local, local.serve(port=0) as server:
        assert server.setup_code is None
        with sutazai.Client.login(server.url, "root_1", PASSWORD) as client:
            task = client.submit(add.task(1, 2))
            assert task.result(10) == 3 and task.info().owner is not None
            assert local.tasks.get(task.id).owner == task.info().owner
        with pytest.raises(sutazai.ClosedError, match="signed out"):
            client.open()
        with pytest.raises(sutazai.ClosedError, match="not open"):
            client.health()


def test_wrong_password_is_refused_and_never_shown() -> None:
    with engine(USERS) as local, local.serve(port=0) as server:
        with pytest.raises(sutazai.UnauthenticatedError) as e:
            sutazai.Client.login(server.url, "root_1", "another good password")
        assert "another good password" not in f"{e.value!r} {e.value} {e.value.__cause__}"
        with sutazai.Client(server.url) as client, pytest.raises(sutazai.UnauthenticatedError):
            client.agents()
        with sutazai.Client(server.url) as client:
            assert client.health().checks["database"] == "ok"


def test_refused_tokens_are_renewed() -> None:
    with engine(USERS) as local:
        with local.serve(port=0) as server:
            client = sutazai.Client.login(server.url, "root_1", PASSWORD)
            assert client.run(add.task(1, 2), timeout=10) == 3
        # Another server of the same users, which signs with another key and refuses the old access token.
        with local.serve(port=server.port), client:
            assert client.run(add.task(3, 4), timeout=10) == 7
            assert len(client.agents()) > 1


def test_coroutines_share_one_renewal() -> None:
    async def main(local: sutazai.Engine) -> None:
        with local.serve(port=0) as server:
            client = await sutazai.AsyncClient.login(server.url, "root_1", PASSWORD)
        with local.serve(port=server.port):
            async with client:
                counts = await asyncio.gather(*(client.agents() for _ in range(20)))
                assert len({len(agents) for agents in counts}) == 1

    with engine(USERS) as local:
        with pytest.warns(RuntimeWarning, match="use AsyncEngine"):
            asyncio.run(main(local))


def test_api_key_is_used_and_never_shown() -> None:
    with engine(USERS) as local, local.serve(port=0) as server:
        key = api_key(server.url, ["tasks:read"])
        with sutazai.Client(server.url, api_key=key) as client:
            assert [agent.name for agent in client.agents() if agent.name == "add"] == ["add"]
            with pytest.raises(sutazai.ForbiddenError) as e:
                client.submit(add.task(1, 2))
            assert isinstance(e.value, PermissionError)
            assert key not in f"{client!r} {client.__dict__['_remote']!r} {e.value!r}"
        with sutazai.Client(server.url, api_key="sutazai_unknown") as client:
            with pytest.raises(sutazai.UnauthenticatedError):
                client.agents()
        with pytest.raises(sutazai.InvalidInputError) as e2:
            sutazai.Client(server.url, api_key="se\ncret").open()
        assert e2.value.field == "api_key" and "cret" not in str(e2.value)


def test_first_admin_is_created_with_the_setup_code() -> None:
    settings = {name: value for name, value in USERS.items() if not name.startswith("ADMIN")}
    with engine(settings) as local, local.serve(port=0) as server:
        assert server.setup_code is not None and server.setup_code not in repr(server)
        admin = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
        call(server.url, "/api/v1/setup", {"code": server.setup_code, **admin})
        with sutazai.Client.login(server.url, "ada", PASSWORD) as client:
            assert client.run(add.task(1, 2), timeout=10) == 3


def test_tokens_of_a_database_outlive_the_server(tmp_path: Path) -> None:
    settings = {**USERS, "DATABASE_URL": f"sqlite://{tmp_path}/users.db"}
    with sutazai.Engine(agents=[add], settings=settings, environment=False) as local, local.serve(port=0) as server:
        client = sutazai.Client.login(server.url, "root_1", PASSWORD)
    assert (tmp_path / "jwt_secret_key").stat().st_mode & 0o777 == 0o600
    with sutazai.Engine(agents=[add], settings=settings, environment=False) as local, local.serve(port=server.port):
        with client:
            assert client.run(add.task(1, 2), timeout=10) == 3


# ---- servers


def test_server_listens_until_its_block_ends() -> None:
    with engine(OPEN) as local:
        with local.serve(port=0) as server:
            assert server.url == f"http://127.0.0.1:{server.port}" and server.host == "127.0.0.1" and server.setup_code is None
            with local.serve(port=0) as other, sutazai.Client(other.url) as client:
                assert client.run(add.task(1, 2), timeout=10) == 3
            with pytest.raises(sutazai.UnavailableError) as e, local.serve(port=server.port):
                pass
            assert e.value.field == "port"
        with sutazai.Client(server.url, retries=0) as client, pytest.raises(sutazai.UnavailableError) as e:
            client.agents()
        assert e.value.message == "the server cannot be reached" and e.value.__cause__ is not None


def test_open_server_is_refused_on_other_addresses() -> None:
    with engine(OPEN) as local:
        with pytest.raises(sutazai.InvalidInputError) as e, local.serve("0.0.0.0", 0):
            pass
        assert e.value.field == "ENABLE_AUTH"
        with pytest.raises(sutazai.InvalidInputError) as e:
            local.serve(port=70_000)
        assert e.value.field == "port"
        with pytest.raises(sutazai.UnavailableError) as e2, local.serve("unknown.invalid", 0):
            pass
        assert e2.value.field == "host"


def test_closed_engine_stops_its_servers() -> None:
    local = engine(OPEN).open()
    with local.serve(port=0) as server:
        local.close()
        with sutazai.Client(server.url, retries=0) as client, pytest.raises(sutazai.UnavailableError):
            client.agents()


# ---- connections


def test_wait_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    with engine(OPEN) as local:
        with local.serve(port=0) as server:
            client = sutazai.Client(server.url, retries=10).open()
            task = client.submit(wait_for_file.task(str(flag)))
            results: list[int] = []
            seen: list[sutazai.Event] = []
            waiters = [
                threading.Thread(target=lambda: results.append(task.result(30))),
                threading.Thread(target=lambda: seen.extend(task.events())),
            ]
            for waiter in waiters:
                waiter.start()
            while task.info().status != "processing":
                pass
        with local.serve(port=server.port):
            flag.touch()
            for waiter in waiters:
                waiter.join(30)
            client.close()
    assert results == [1] and isinstance(seen[-1], sutazai.StatusEvent) and seen[-1].status == "completed"


def test_closed_client_releases_its_waiters(tmp_path: Path) -> None:
    with engine(OPEN) as local, local.serve(port=0) as server:
        client = sutazai.Client(server.url).open()
        task = client.submit(wait_for_file.task(str(tmp_path / "flag")))
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                task.result()
            except BaseException as e:
                errors.append(e)

        waiter = threading.Thread(target=wait)
        waiter.start()
        while task.info().status != "processing":
            pass
        client.close()
        waiter.join(10)
        assert [type(e) for e in errors] == [sutazai.ClosedError]
        (tmp_path / "flag").touch()


class Answers(BaseHTTPRequestHandler):
    """A server whose responses the test decides on: status, headers and body, the last one for ever."""

    script: list[tuple[int, dict[str, str], bytes]]
    requests: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.requests.append((self.command, self.path))
        status, headers, body = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def scripted(*script: tuple[int, dict[str, str], bytes]) -> Generator[tuple[str, list[tuple[str, str]]], None, None]:
    class Handler(Answers):
        pass

    Handler.script, Handler.requests = list(script), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", Handler.requests
    finally:
        server.shutdown()
        server.server_close()


def failure(code: str, **details: Any) -> bytes:
    return json.dumps({"status": "error", "error": {"code": code, "message": "later", "details": details}}).encode()


def success(data: Any) -> bytes:
    return json.dumps({"status": "success", "data": data}).encode()


BUSY: tuple[int, dict[str, str], bytes] = (503, {}, failure("busy", retry_after_seconds=0))


def test_reads_and_keyed_submissions_are_repeated() -> None:
    with scripted(BUSY, (502, {}, b"<html>"), (200, {}, success({"items": []}))) as (url, requests):
        with sutazai.Client(url) as client:
            assert client.agents() == []
        assert requests == [("GET", "/api/v1/agents")] * 3
    with scripted(BUSY, (202, {}, success({"id": "1"}))) as (url, requests):
        with sutazai.Client(url) as client:
            assert client.submit(add.task(1, 2).but(idempotency_key="once")).id == "1"
        assert requests == [("POST", "/api/v1/tasks")] * 2
    with scripted(BUSY, (202, {}, success({"id": "1"}))) as (url, requests):
        with sutazai.Client(url) as client, pytest.raises(sutazai.BusyError):
            client.submit(add.task(1, 2))
        assert len(requests) == 1
    with scripted(BUSY) as (url, requests):
        with sutazai.Client(url, retries=2) as client, pytest.raises(sutazai.BusyError):
            client.agents()
        assert len(requests) == 3


def test_error_has_the_kind_the_field_and_the_time() -> None:
    with scripted((429, {"Retry-After": "90"}, failure("rate_limited", field="limit", retry_after_seconds=90))) as (url, requests):
        with sutazai.Client(url) as client, pytest.raises(sutazai.RateLimitedError) as e:
            client.agents()
        assert (e.value.retry_after, e.value.field, e.value.message) == (90.0, "limit", "later")
        # The time is longer than a client waits by itself.
        assert len(requests) == 1
    kinds = [
        (400, "malformed", sutazai.InvalidInputError),
        (404, "not_found", sutazai.NotFoundError),
        (405, "method_not_allowed", sutazai.UnsupportedError),
        (413, "payload_too_large", sutazai.InvalidInputError),
        (422, "context_length_exceeded", sutazai.ContextLengthError),
        (500, "internal", sutazai.InternalError),
        (501, "unsupported", sutazai.UnsupportedError),
        (502, "misfit", sutazai.MisfitError),
    ]
    for status, code, error in kinds:
        with scripted((status, {}, failure(code))) as (url, _), sutazai.Client(url, retries=0) as client:
            with pytest.raises(sutazai.Error) as raised:
                client.agents()
            assert type(raised.value) is error


def test_other_programs_are_recognized() -> None:
    for status, error in [(200, "UnavailableError"), (404, "NotFoundError"), (301, "UnavailableError"), (403, "ForbiddenError")]:
        script = (status, {"Location": "http://127.0.0.1:1/"}, b"<html>hello</html>")
        with scripted(script) as (url, _), sutazai.Client(url, retries=0) as client:
            with pytest.raises(sutazai.Error) as e:
                client.agents()
            assert type(e.value).__name__ == error
    nothing = json.dumps({"error": {"code": "not_found", "message": "there is nothing at this path", "details": {}}}).encode()
    with scripted((404, {}, nothing)) as (url, _), sutazai.Client(url) as client:
        with pytest.raises(sutazai.UnsupportedError, match="no such route"):
            client.agents()


def test_silent_server_times_out() -> None:
    import socket

    with socket.socket() as silent:
        # The kernel accepts the connection; nothing responds.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = "http://127.0.0.1:%d" % silent.getsockname()[1]
        with sutazai.Client(url, timeout=0.2, retries=0) as client, pytest.raises(sutazai.TimedOutError) as e:
            client.agents()
        assert e.value.message == "the server did not answer within 200ms" and isinstance(e.value, TimeoutError)


@pytest.mark.parametrize(
    "url", ["box:10010", "ftp://box", "http://", "https://ada:s3cret@box", "http://box/?key=s3cret", "http://box/#s3cret"]
)
def test_invalid_addresses_are_refused_without_repeating_them(url: str) -> None:
    client = sutazai.Client(url)
    with pytest.raises(sutazai.InvalidInputError) as e:
        client.open()
    assert e.value.field == "url" and "s3cret" not in str(e.value)
    assert "s3cret@" not in repr(client)


def test_invalid_options_name_the_field() -> None:
    with pytest.raises(sutazai.InvalidInputError) as e:
        sutazai.Client("http://127.0.0.1:1", retries=-1)
    assert e.value.field == "retries"
    with pytest.raises(sutazai.InvalidInputError) as e:
        sutazai.Client("http://127.0.0.1:1", timeout=-1).open()
    assert e.value.field == "timeout"


def test_prefix_of_the_address_is_kept() -> None:
    with scripted((200, {}, success({"items": []}))) as (url, requests):
        for address in (f"{url}/ai", f"{url}/ai/"):
            with sutazai.Client(address) as client:
                assert client.agents() == []
        assert requests == [("GET", "/ai/api/v1/agents")] * 2


# ---- what a server cannot do


def test_unsupported_requests_say_so() -> None:
    local = testing_engine(add, model=ScriptedModel())
    local._settings.update(OPEN)
    with local, local.serve(port=0) as server, sutazai.Client(server.url) as client:
        requests: list[tuple[Callable[[], object], str | None]] = [
            (lambda: client.models.load(), None),
            (lambda: list(client.tasks.list(parent="0199f3c2-a1b4-7000-a1b2-c3d4e5f60718")), "parent"),
            (lambda: client.models.complete("Hello", grammar="start: /a/"), "grammar"),
            (lambda: client.models.complete("Hello", repeat_penalty=1.2), "repeat_penalty"),
            (lambda: "".join(client.models.stream("Hello", grammar="start: /a/")), "grammar"),
        ]
        for request, field in requests:
            with pytest.raises(sutazai.UnsupportedError) as e:
                request()
            assert e.value.field == field and isinstance(e.value, NotImplementedError)
        task = client.submit(add.task(1, 2))
        task.wait(10)
        (listed,) = client.tasks.list()
        # A list of a server has neither.
        assert (listed.payload, listed.result, listed.status) == (None, None, "completed")


def test_client_stays_in_its_process_and_out_of_tests() -> None:
    client = sutazai.Client("http://127.0.0.1:1")
    assert repr(client) == "<Client http://127.0.0.1:1>"
    with pytest.raises(TypeError, match="belongs to its process"):
        pickle.dumps(client)
    with client:
        with pytest.raises(RuntimeError, match="open already"):
            client.open()
        with no_models(), pytest.raises(RuntimeError, match="forbids"):
            client.models.complete("Hello")
        child = os.fork()
        if child == 0:
            try:
                client.agents()
            except sutazai.ForkedError:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_remote_example() -> None:
    example = Path(__file__).parents[1] / "examples" / "remote.py"
    with engine(USERS) as local, local.serve(port=0) as server:
        key = api_key(server.url, ["tasks:read", "tasks:write"])
        environment = {**os.environ, "SUTAZAI_API_KEY": key}
        command: list[str | Path] = [sys.executable, "-W", "ignore::RuntimeWarning", example, server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n21\nagent is invalid\n", "")


def test_client_on_a_running_loop_warns_once() -> None:
    async def main() -> None:
        with sutazai.Client("http://127.0.0.1:1", retries=0) as client:
            with pytest.warns(RuntimeWarning, match="use AsyncClient"), pytest.raises(sutazai.UnavailableError):
                client.agents()

    asyncio.run(main())
