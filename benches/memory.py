"""Measures the memory of a server for what its clients hold. Started by memory.sh."""

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

ADDRESS = ("127.0.0.1", 18091)
MODEL = "SmolLM2-135M-Instruct.Q4_1"


def memory(pid, name="VmRSS"):
    """Returns a value of /proc/PID/status in KiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name + ":"))


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as listed:
        ids = [int(child) for child in listed.read().split()]
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children") as listed:
            ids += [int(child) for child in listed.read().split()]
    return sorted(set(ids))


def ask(method, path, body=None, token=None, kind="application/json", timeout=120):
    connection = http.client.HTTPConnection(*ADDRESS, timeout=timeout)
    headers = {"content-type": kind}
    if token:
        headers["authorization"] = "Bearer " + token
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def opened(head, expected):
    connection = socket.create_connection(ADDRESS)
    connection.sendall(head)
    if expected:
        got = connection.recv(4096)
        assert expected in got, got
    return connection


def frame(text):
    data = text.encode()
    return bytes([0x81, 0x80 | len(data)]) + b"\0\0\0\0" + data


class Server:
    """A new server per measurement, since memory that one measurement frees would be reused by the next."""

    def __init__(self, binary, model=None):
        self.folder = tempfile.TemporaryDirectory()
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder.name,
            "DATABASE_URL": f"sqlite://{self.folder.name}/sutazai.db",
            "ENABLE_RATE_LIMITING": "false",
            "MAX_STREAMS_PER_USER": "10000",
            "MAX_CONNECTIONS_PER_ADDRESS": "10000",
            "LOG_LEVEL": "warn",
        }
        if model:
            settings["MODEL_BACKENDS"] = f"llama-cpp={model}"
        self.process = subprocess.Popen([binary, "serve", "--listen", "%s:%d" % ADDRESS], env=settings)
        self.pid = self.process.pid

    def __enter__(self):
        for _ in range(300):
            try:
                ask("GET", "/health")
                break
            except OSError:
                time.sleep(0.1)
        body = {"username": "ada", "email": "ada@example.org", "password": "correct horse battery"}
        status, text = ask("POST", "/api/v1/auth/register", body)
        assert status == 201, text
        self.token = json.loads(text)["data"]["access_token"]
        self.bearer = f"authorization: Bearer {self.token}\r\n"
        for _ in range(200):
            ask("GET", "/api/v1/tasks", token=self.token)
        time.sleep(1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()

    def get(self, path):
        return opened(f"GET {path} HTTP/1.1\r\nhost: x\r\n{self.bearer}\r\n".encode(), b"200 OK")

    def websocket(self, subscriptions=0, task=None):
        key = base64.b64encode(os.urandom(16)).decode()
        connection = opened(
            f"GET /api/v1/ws HTTP/1.1\r\nhost: x\r\n{self.bearer}connection: upgrade\r\nupgrade: websocket\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode(), b"101 Switching")
        for number in range(subscriptions):
            text = {"type": "subscribe"} if number == 0 else {"type": "subscribe", "task_id": task}
            connection.sendall(frame(json.dumps(text)))
        return connection

    def submit(self, **more):
        body = {"agent": "hardware-optimizer", "payload": {"use_model": False}, **more}
        return json.loads(ask("POST", "/api/v1/tasks", body, self.token)[1])["data"]["id"]

    def upload(self):
        words = " ".join(f"disk{number:x} memory full {number % 97}" for number in range(430_000))[:9_900_000]
        form = ("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n"
                f"content-type: text/plain\r\n\r\n{words}\r\n--b--\r\n")
        return ask("POST", "/api/v1/documents", form, self.token, "multipart/form-data; boundary=b")

    def each(self, name, count, make):
        before = memory(self.pid)
        held = [make() for _ in range(count)]
        time.sleep(2)
        print(f"{name:<34}{(memory(self.pid) - before) / count:10.1f} KiB each, of {count}")
        for connection in held:
            connection.close()

    def peak(self, name, act):
        # Writing 5 resets VmHWM (proc(5), clear_refs).
        with open(f"/proc/{self.pid}/clear_refs", "w") as refs:
            refs.write("5")
        before = memory(self.pid)
        act()
        print(f"{name:<34}{(memory(self.pid, 'VmHWM') - before) / 1024:10.1f} MiB at the peak")


def main(binary, model):
    with Server(binary) as server:
        print(f"{'server, idle':<34}{memory(server.pid) / 1024:10.1f} MiB")
    with Server(binary) as server:
        server.each("connection that asked once", 8000, lambda: server.get("/api/v1/tasks"))
    with Server(binary) as server:
        server.each("event stream", 4000, lambda: server.get("/api/v1/events"))
    with Server(binary) as server:
        server.each("WebSocket", 4000, server.websocket)
    with Server(binary) as server:
        next_year = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 365 * 86_400))
        task = server.submit(run_at=next_year)
        server.each("WebSocket with 2 subscriptions", 4000, lambda: server.websocket(2, task))
    with Server(binary) as server:
        server.peak("upload of 9.9 MB", server.upload)
    with Server(binary) as server:
        server.upload()
        server.peak("search in 10,000 chunks", lambda: ask(
            "GET", "/api/v1/documents/search?limit=50&q=disk+memory+full+1+2+3+4+5", token=server.token))
    with Server(binary) as server:
        zeros = "[" + "0," * 9_900 + "0]"
        body = '{"agent":"hardware-optimizer","payload":%s}' % zeros
        server.peak("payload of 9,900 values", lambda: ask("POST", "/api/v1/tasks", body, server.token))
    with Server(binary) as server:
        body = {"login": "ada", "password": "correct horse battery"}
        server.peak("sign-in", lambda: ask("POST", "/api/v1/auth/login", body))
    with Server(binary) as server:
        last = [server.submit() for _ in range(100)][-1]
        while json.loads(ask("GET", f"/api/v1/tasks/{last}", token=server.token)[1])["data"]["status"] != "completed":
            time.sleep(0.5)
        size = len(ask("GET", "/api/v1/tasks?limit=100", token=server.token)[1])
        server.peak(f"page of 100 analyses ({size / 1e6:.1f} MB)",
                    lambda: ask("GET", "/api/v1/tasks?limit=100", token=server.token))
    with Server(binary, model) as server:
        ask("POST", "/v1/chat/completions", {
            "model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}, server.token)
        for child in children(server.pid):
            print(f"{'model (child process)':<34}{memory(child) / 1024:10.1f} MiB, "
                  f"{memory(child, 'RssAnon') / 1024:.1f} of them its own")


if __name__ == "__main__":
    main(*sys.argv[1:])
