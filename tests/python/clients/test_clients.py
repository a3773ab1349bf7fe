"""Popular clients, each in a process of its own, against the real server: with an embedded model, and with a strict
backend through an unconfigured nginx; and a page of another origin in a real Chromium."""

import functools
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest
from selenium.webdriver.support.ui import WebDriverWait

import strict_backend

PROGRAMS = pathlib.Path(__file__).parent / "programs"
STREAMLIT_EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "streamlit_app.py"
SCHEMA = {
    "type": "object",
    "properties": {"zebra": {"enum": ["a", "b"]}, "apple": {"enum": ["c", "d"]}},
    "required": ["apple", "zebra"],
    "additionalProperties": False,
}
CLIENTS = {
    "openai for Python": lambda: [sys.executable, PROGRAMS / "openai_client.py"],
    "LangChain": lambda: [os.environ["SUTAZAI_TEST_FRAMEWORKS"], PROGRAMS / "langchain_client.py"],
    "LlamaIndex": lambda: [os.environ["SUTAZAI_TEST_FRAMEWORKS"], PROGRAMS / "llama_index_client.py"],
    "openai for JavaScript": lambda: ["node", PROGRAMS / "openai_client.mjs", os.environ["SUTAZAI_TEST_OPENAI_JS"]],
}


@pytest.fixture(scope="module")
def backend():
    backend = strict_backend.StrictBackend()
    yield backend
    backend.shutdown()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A web server with pages of another origin and the JavaScript client."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "openai").symlink_to(os.environ["SUTAZAI_TEST_OPENAI_JS"])
    (folder / "journey.mjs").symlink_to(PROGRAMS / "journey.mjs")
    (folder / "index.html").write_text("<!doctype html><title>a page</title>")
    handler = functools.partial(Pages, directory=folder)
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % pages.server_address[1]
    pages.shutdown()


class Pages(http.server.SimpleHTTPRequestHandler):
    extensions_map = {".mjs": "text/javascript", ".html": "text/html"}

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def strict(start, backend, pages):
    return start(MODEL_BACKENDS=f"openai={backend.url}", CORS_ORIGINS=pages)


@pytest.fixture(scope="module")
def nginx(strict, tmp_path_factory):
    """The address of an nginx in front of the server; only the server's address is configured."""
    folder = tmp_path_factory.mktemp("nginx")
    address = strict.free_address()
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; pid {folder}/pid; error_log {folder}/error.log;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
            uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
            server {{ listen {address}; location / {{ proxy_pass http://{strict.address}; }} }}
        }}
        """
    )
    command = ["/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    process = subprocess.Popen(command)
    strict.until_answers(address, process)
    yield address
    process.terminate()
    process.wait(timeout=10)


def travel(client, address, key, model, embedding_model):
    command = [*CLIENTS[client](), f"http://{address}/v1", key, model, embedding_model, json.dumps(SCHEMA)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_strict(met):
    assert met["models"] == [strict_backend.MODEL, strict_backend.EMBEDDING_MODEL]
    assert met["text"] == "".join(piece for _, piece in met["pieces"]) == "The sea is salty."
    # A buffered answer would arrive at once; here there are three pauses between the first and the last
    # piece.
    times = [at for at, _ in met["pieces"]]
    assert len(times) == 4 and times[-1] - times[0] > 2 * strict_backend.PAUSE, times
    assert met["json"] == '{"zebra": "a", "apple": "c"}'
    assert met["vectors"] == [2, 2] and met["error"] == "model_not_found"
    assert met.get("tokens", 4) == 4


@pytest.mark.parametrize("client", CLIENTS)
def test_client_works_with_a_strict_backend_through_nginx(client, strict, backend, nginx):
    met = travel(client, nginx, strict.new_key("models:use"), strict_backend.MODEL, strict_backend.EMBEDDING_MODEL)
    check_strict(met)
    schemas = [body["response_format"]["json_schema"]["schema"] for _, body in backend.bodies if "response_format" in body]
    assert list(schemas[-1]["properties"]) == ["zebra", "apple"]


@pytest.mark.parametrize("client", CLIENTS)
def test_client_works_with_an_embedded_model(client, embedded):
    met = travel(client, embedded.address, embedded.new_key("models:use"), embedded.model, embedded.embedding_model)
    assert met["models"] == [embedded.model, embedded.embedding_model]
    assert met["text"].strip() and len(met["pieces"]) > 1
    assert list(json.loads(met["json"])) == ["zebra", "apple"]
    assert met["vectors"] == [384, 384] and met["error"] == "model_not_found"


def test_page_of_a_configured_origin_works_and_others_are_rejected(strict, pages, browser):
    browser.get(f"{pages}/index.html")
    arguments = [
        f"http://{strict.address}/v1",
        strict.new_key("models:use"),
        strict_backend.MODEL,
        strict_backend.EMBEDDING_MODEL,
        json.dumps(SCHEMA),
    ]
    browser.execute_script(
        """
        const [...rest] = arguments;
        (async () => {
            const [{ OpenAI }, { journey }] = await Promise.all([import("/openai/index.mjs"), import("/journey.mjs")]);
            return JSON.stringify(await journey(OpenAI, ...rest));
        })().then((met) => (window.met = met), (e) => (window.met = String(e)));
        """,
        *arguments,
    )
    met = WebDriverWait(browser, 60).until(lambda it: it.execute_script("return window.met"))
    assert met.startswith("{"), (met, browser.get_log("browser"))
    check_strict(json.loads(met))
    # An origin that is not configured is rejected.
    browser.get(f"http://localhost:{pages.rsplit(':')[-1]}/index.html")
    rejected = browser.execute_async_script(
        "const [url, done] = arguments; fetch(url).then((r) => done(r.status), (e) => done(e.name));",
        f"http://{strict.address}/v1/models",
    )
    assert rejected == "TypeError"


def test_streamlit_example_signs_in_analyzes_and_shows_earlier_analyses(start):
    server = start()
    python, program = os.environ["SUTAZAI_TEST_STREAMLIT"], PROGRAMS / "streamlit_app.py"
    command = [python, program, STREAMLIT_EXAMPLE, "root_1", "correct horse battery"]
    environment = os.environ | {"SUTAZAI_URL": f"http://{server.address}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
