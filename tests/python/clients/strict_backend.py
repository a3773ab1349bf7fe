"""A stand-in for OpenAI's API that rejects unknown and retired parameters, and streams slowly."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "lab/sea-1"
EMBEDDING_MODEL = "lab/vectors-1"
PIECES = ["The ", "sea ", "is ", "salty."]
# Delay between two pieces, so that a client can tell a stream from a buffered answer.
PAUSE = 0.25

SAMPLING = {"temperature", "top_p", "seed", "stop"}
CHAT = {"model", "messages", "max_completion_tokens", "stream", "stream_options", "response_format"} | SAMPLING


def invalid_parameter(body):
    """Returns the invalid parameter, or None."""
    unknown = set(body) - CHAT
    if unknown:
        return min(unknown)
    if body.get("stream") is not True or body.get("stream_options") != {"include_usage": True}:
        return "stream_options"
    for message in body["messages"]:
        if set(message) != {"role", "content"} or not isinstance(message["content"], str):
            return "messages"
    schema = body.get("response_format")
    if schema is not None:
        if set(schema) != {"type", "json_schema"} or set(schema["json_schema"]) - {"name", "strict", "schema"}:
            return "response_format"
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reject(self, param):
        error = {"message": f"Unsupported parameter: {param}", "type": "invalid_request_error", "param": param}
        self.reply(400, {"error": {**error, "code": "unsupported_parameter"}})

    def do_GET(self):
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "lab"} for name in (MODEL, EMBEDDING_MODEL)]
        self.reply(200, {"object": "list", "data": models})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append((self.path, body))
        if self.path == "/v1/embeddings":
            if set(body) != {"model", "input"}:
                return self.reject(min(set(body) - {"model", "input"}, default="input"))
            data = [{"object": "embedding", "index": i, "embedding": [0.5, 0.25]} for i, _ in enumerate(body["input"])]
            return self.reply(200, {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 4}})
        invalid = invalid_parameter(body)
        if invalid:
            return self.reject(invalid)
        self.stream(PIECES if "response_format" not in body else [fitting(body["response_format"])])

    def stream(self, pieces):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.send({"role": "assistant", "content": ""})
        for piece in pieces:
            self.send({"content": piece})
            time.sleep(PAUSE if len(pieces) > 1 else 0)
        self.send({}, "stop")
        usage = {"prompt_tokens": 9, "completion_tokens": len(pieces), "total_tokens": 9 + len(pieces)}
        self.write({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def send(self, delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self.write({"object": "chat.completion.chunk", "choices": [choice], "usage": None})

    def write(self, chunk):
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()


def fitting(response_format):
    """Builds an object with the properties of the schema, in their order."""
    properties = response_format["json_schema"]["schema"]["properties"]
    return json.dumps({name: schema["enum"][0] for name, schema in properties.items()})


class StrictBackend(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/v1" % self.server_address[1]
