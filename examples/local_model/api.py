"""The part of OpenAI's HTTP API that both model servers speak, with a meter beside it.

    POST /v1/chat/completions    plain, streamed, with tools
    POST /v1/embeddings
    GET  /v1/models
    GET  /meter                  {"requests": n, "input_tokens": a, "output_tokens": b, "by_request": [...]}

Every answered request is metered with the figures that the model reported. A model reports usage at the
end of every stream; a client that did not ask for it (`stream_options.include_usage`) does not see that.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, Protocol

from meter import Meter

Json = dict[str, Any]


class Model(Protocol):
    """What answers the requests. Every method may raise `ModelError`."""

    name: str

    def chat(self, request: Json) -> Json:
        """Return a `chat.completion` object with usage."""

    def stream_chat(self, request: Json, send: Callable[[Json], None]) -> None:
        """Send `chat.completion.chunk` objects, the last with usage and no choices."""

    def embed(self, request: Json) -> Json:
        """Return a list of embeddings with usage."""


class ModelError(Exception):
    """A request that cannot be answered; the client receives `status` and OpenAI's kind of error object."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.error = {"error": {"message": message, "type": kind, "param": None, "code": None}}


class ModelServer(ThreadingHTTPServer):
    """Serves one model on the loopback interface; port 0 takes any free port."""

    def __init__(self, model: Model, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model = model
        self.meter = Meter()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about a client that hung up: it may do so at any time."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def base_url(self) -> str:
        """What a client sets as its OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    """One connection from a client."""

    protocol_version = "HTTP/1.1"
    server: ModelServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class names it
        """Keep quiet: the program that is being traced owns the terminal."""

    def do_GET(self) -> None:
        if self.path == "/meter":
            self._reply(200, self.server.meter.totals())
        elif self.path == "/v1/models":
            entry = {"id": self.server.model.name, "object": "model", "created": 0, "owned_by": "local"}
            self._reply(200, {"object": "list", "data": [entry]})
        else:
            self._reply(404, ModelError(404, f"no such page: GET {self.path}").error)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self._answer(json.loads(body))
        except ModelError as error:
            self._reply(error.status, error.error)
        except ValueError as error:
            self._reply(400, ModelError(400, f"the body is not JSON: {error}").error)

    def _answer(self, request: Json) -> None:
        if self.path == "/v1/embeddings":
            self._embed(request)
        elif self.path != "/v1/chat/completions":
            raise ModelError(404, f"this server has no POST {self.path}; it has chat/completions and embeddings")
        elif not request.get("messages"):
            raise ModelError(400, "'messages' is required")
        elif request.get("stream"):
            self._stream_chat(request)
        else:
            self._chat(request)

    def _chat(self, request: Json) -> None:
        reply = self.server.model.chat(request)
        self.server.meter.record("chat", reply["usage"])
        self._reply(200, reply)

    def _embed(self, request: Json) -> None:
        reply = self.server.model.embed(request)
        self.server.meter.record("embeddings", reply["usage"])
        self._reply(200, reply)

    def _stream_chat(self, request: Json) -> None:
        usage_wanted = bool((request.get("stream_options") or {}).get("include_usage"))
        events = EventStream(self)

        def send(chunk: Json) -> None:
            if chunk.get("usage") and not chunk["choices"]:
                self.server.meter.record("chat", chunk["usage"], streamed=True, usage_sent=usage_wanted)
                if not usage_wanted:
                    return
            elif usage_wanted:
                chunk = {**chunk, "usage": None}
            events.send(json.dumps(chunk))

        try:
            self.server.model.stream_chat(request, send)
            events.send("[DONE]")
        except ModelError as error:
            if not events.begun:
                raise
            events.send(json.dumps(error.error))
        events.end()

    def _reply(self, status: int, document: Json) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class EventStream:
    """Writes server-sent events. The headers wait for the first one, so that an early error keeps its status.

    A client that hangs up is remembered and no longer written to: the model runs on to its end, and what it
    generated is metered, as a provider would bill it.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.begun = False
        self._client_left = False

    def send(self, data: str) -> None:
        """Write one event."""
        if not self.begun:
            self._begin()
        self._write(f"data: {data}\n\n".encode())

    def end(self) -> None:
        """Write the empty chunk that ends the reply."""
        self._write(b"")

    def _begin(self) -> None:
        self.begun = True
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def _write(self, data: bytes) -> None:
        if self._client_left:
            return
        try:
            self._handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        except ConnectionError:
            self._client_left = True
            self._handler.close_connection = True


def serve(model: Model, port: int) -> None:
    """Serve `model` until SIGTERM, Ctrl-C, or the end of standard input.

    Standard input is a lifeline: whoever starts this server with a pipe holds the other end, and however that
    parent dies, the pipe closes and the server goes too.
    """
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    server = ModelServer(model, port)
    threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"READY {server.base_url} model={model.name}", flush=True)
    stop.wait()
    server.shutdown()
    server.server_close()


def _wait_for_end_of_input(stop: threading.Event) -> None:
    # os.read takes no lock of Python's: a thread that waits in sys.stdin would make the exit fail.
    try:
        while os.read(0, 4096):
            pass
    except OSError:  # standard input was never open
        pass
    stop.set()
