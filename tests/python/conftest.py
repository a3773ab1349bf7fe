"""The real binary, for tests that need a server."""

import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PASSWORD = "correct horse battery"


class Server:
    """`sutazai serve` on a free port, with a database of its own and an admin who has signed in."""

    def __init__(self, folder, **settings):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        self.log = folder / "serve.log"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATABASE_URL": f"sqlite://{folder}/sutazai.db",
            "LISTEN": self.address,
            "ADMIN_USERNAME": "root_1",
            "ADMIN_PASSWORD": PASSWORD,
            **settings,
        }
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([target / "debug" / "sutazai", "serve"], env=environment, stderr=log)
        try:
            self._until_ready()
            signed_in = self.call("POST", "/api/v1/auth/login", {"login": "root_1", "password": PASSWORD})
            self.token = signed_in["access_token"]
        except BaseException:
            self.process.kill()
            raise

    def _until_ready(self):
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(f"http://{self.address}/health", timeout=1).close()
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise TimeoutError(self.log.read_text())

    def call(self, method, path, body=None):
        """What the API answers, out of its envelope."""
        headers = {"content-type": "application/json"}
        if hasattr(self, "token"):
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def new_key(self, *scopes):
        return self.call("POST", "/api/v1/auth/api-keys", {"name": "test", "scopes": list(scopes)})["key"]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0, self.log.read_text()


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts servers with these settings; ends them after the tests."""
    running = []

    def start(**settings):
        running.append(Server(tmp_path_factory.mktemp("server"), **settings))
        return running[-1]

    yield start
    for server in running:
        server.stop()
