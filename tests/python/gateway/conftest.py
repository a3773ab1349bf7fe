"""The real binary with the small model, and an API key for it."""

import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import openai
import pytest

ROOT = pathlib.Path(__file__).parents[3]
PASSWORD = "correct horse battery"


class Server:
    """`sutazai serve` on a free port, with a database of its own."""

    def __init__(self, folder, **settings):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        model = pathlib.Path(os.environ["SUTAZAI_TEST_MODEL"])
        self.model = model.stem
        embedding_model = pathlib.Path(os.environ["SUTAZAI_TEST_EMBEDDING_MODEL"])
        self.embedding_model = embedding_model.stem
        self.embeddings = json.loads(embedding_model.with_suffix(".json").read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        self.log = folder / "serve.log"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATABASE_URL": f"sqlite://{folder}/sutazai.db",
            "LISTEN": self.address,
            "MODEL_BACKENDS": f"llama-cpp={model},llama-cpp={embedding_model}",
            "DEFAULT_MODEL": self.model,
            "ADMIN_USERNAME": "root_1",
            "ADMIN_PASSWORD": PASSWORD,
            **settings,
        }
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([target / "debug" / "sutazai", "serve"], env=environment, stderr=log)
        try:
            self._sign_in()
        except BaseException:
            self.process.kill()
            raise

    def _sign_in(self):
        self._until_ready()
        signed_in = self.call("POST", "/api/v1/auth/login", {"login": "root_1", "password": PASSWORD})
        self.token = signed_in["access_token"]
        self.key = self.new_key("models:use")

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

    def client(self, key=None):
        return openai.OpenAI(base_url=f"http://{self.address}/v1", api_key=key or self.key, max_retries=0, timeout=120)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0, self.log.read_text()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), MODEL_REQUESTS_PER_USER="2")
    yield server
    server.stop()


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client
