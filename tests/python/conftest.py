"""The real binary, for tests that need a server."""

import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from selenium import webdriver

ROOT = pathlib.Path(__file__).parents[2]
PASSWORD = "correct horse battery"


class Server:
    """`sutazai serve` on a free port, with a database of its own and, unless told otherwise, an admin who has signed in."""

    def __init__(self, folder, admin=True, **settings):
        self.address = self.free_address()
        self.log = folder / "serve.log"
        self.output = folder / "serve.out"
        self.database = folder / "sutazai.db"
        account = {"ADMIN_USERNAME": "root_1", "ADMIN_PASSWORD": PASSWORD} if admin else {}
        self.environment = {
            "PATH": os.environ["PATH"],
            # All tests call from one address, so they share its limit.
            "RATE_LIMIT_AUTH_PER_MINUTE": "1000",
            "RATE_LIMIT_PER_MINUTE": "1000",
            "HOME": str(folder),
            "DATABASE_URL": f"sqlite://{self.database}",
            "LISTEN": self.address,
            **account,
            **settings,
        }
        self.launch()
        try:
            if admin:
                signed_in = self.call("POST", "/api/v1/auth/login", {"login": "root_1", "password": PASSWORD})
                self.token = signed_in["access_token"]
        except BaseException:
            self.process.kill()
            raise

    def launch(self):
        """Starts the process, also again after `stop`, and waits until it answers."""
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        command = [target / "debug" / "sutazai", "serve"]
        with open(self.log, "ab") as log, open(self.output, "ab") as output:
            self.process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=log)
        try:
            self.until_answers(self.address, self.process)
        except BaseException:
            self.process.kill()
            raise

    def setup_code(self):
        """The code in the link that a server without an admin prints."""
        return re.search(r"/setup/([a-z2-7]+)", self.output.read_text())[1]

    @staticmethod
    def free_address():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return "127.0.0.1:%d" % probe.getsockname()[1]

    def until_answers(self, address, process):
        """Waits until the server answers at this address, its own or that of a proxy that runs as this process."""
        for _ in range(600):
            assert process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(f"http://{address}/health", timeout=1).close()
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise TimeoutError(self.log.read_text())

    def call(self, method, path, body=None):
        """Calls the API and returns the data in its envelope."""
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
    """Starts servers with these settings and stops them after the tests."""
    running = []

    def start(admin=True, **settings):
        running.append(Server(tmp_path_factory.mktemp("server"), admin, **settings))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def embedded(start):
    """A server with the small models embedded."""
    model = pathlib.Path(os.environ["SUTAZAI_TEST_MODEL"])
    embedding_model = pathlib.Path(os.environ["SUTAZAI_TEST_EMBEDDING_MODEL"])
    server = start(
        MODEL_BACKENDS=f"llama-cpp={model},llama-cpp={embedding_model}",
        DEFAULT_MODEL=model.stem,
        MODEL_REQUESTS_PER_USER="2",
    )
    server.model, server.embedding_model = model.stem, embedding_model.stem
    return server


@pytest.fixture
def browser(tmp_path):
    """A driver of a real Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    # Root has no sandbox, and containers have little shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,2000"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield browser
    browser.quit()
