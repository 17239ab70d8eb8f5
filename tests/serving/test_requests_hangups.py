"""Clients that hang up, at real servers: before the answer, in the midst of it, and after."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from flask import Flask, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from werkzeug.serving import make_server

import autotrace
from autotrace.testing import Spans

from .servers import think


class Client:
    """A connection on which something has been asked.

    Attributes:
        received: What has come so far.
    """

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        self.received = b""

    def wait_for(self, text: bytes) -> None:
        """Reads until `text` has come."""
        while text not in self.received:
            piece = self._socket.recv(4096)
            assert piece, self.received
            self.received += piece

    def hang_up(self) -> None:
        """At once, as a process that is killed does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()


def until(holds: Callable[[], Any], what: str) -> None:
    """Waits until something holds, with a deadline."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@contextmanager
def served_by_uvicorn(app: Any, gone: threading.Event | None = None) -> Iterator[int]:
    """The port that uvicorn serves an application at, in a thread; `gone` is set once it has lost a client."""

    class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if gone is not None:
                gone.set()

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Protocol, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


class Told:
    """What the application's endpoints and the test tell one another."""

    def __init__(self) -> None:
        self.is_at_work = threading.Event()
        self.may_go_on = threading.Event()


def asgi_app(told: Told) -> Any:
    """Endpoints that take their time."""

    async def waits(request: Request) -> Any:
        think()
        told.is_at_work.set()
        await asyncio.to_thread(told.may_go_on.wait, 20)
        return JSONResponse({})

    async def looks(request: Request) -> Any:
        think()
        told.is_at_work.set()
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        return JSONResponse({})

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            think()
            yield b"piece"
            await asyncio.sleep(0.01)

    def sync_pieces() -> Iterator[bytes]:
        while True:
            think()
            yield b"piece"
            time.sleep(0.01)

    async def whole(request: Request) -> Any:
        think()
        return JSONResponse({"answer": "because"})

    return Starlette(
        routes=[
            Route("/waits", waits),
            Route("/looks", looks),
            Route("/async", lambda _: StreamingResponse(pieces())),
            Route("/sync", lambda _: StreamingResponse(sync_pieces())),
            Route("/whole", whole),
        ]
    )


def root_of(traced: Spans) -> Any:
    """The root, once it has ended."""
    until(lambda: [span for span in traced.all() if span.parent_id is None], "the root has not ended")
    (root,) = [span for span in traced.all() if span.parent_id is None]
    return root


@pytest.mark.parametrize("path", ["/waits", "/looks"])
def test_before_the_answer(traced: Spans, path: str) -> None:
    """Whether or not the application asks, it answers nobody."""
    told, gone = Told(), threading.Event()
    with served_by_uvicorn(asgi_app(told), gone) as port:
        client = Client(port, path)
        assert told.is_at_work.wait(20)
        client.hang_up()
        assert gone.wait(20)  # uvicorn learns of it in its own time
        told.may_go_on.set()
        root = root_of(traced)
    assert (root.name, root.outcome, root.status) == (f"GET {path}", "disconnected", "unset")


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_in_the_midst_of_a_stream(traced: Spans, path: str) -> None:
    """The stream is stopped, and the root tells why."""
    with served_by_uvicorn(asgi_app(Told())) as port:
        client = Client(port, path)
        client.wait_for(b"piece")
        client.hang_up()
        root = root_of(traced)
    assert (root.name, root.outcome, root["http.response.status_code"]) == (f"GET {path}", "disconnected", 200)
    assert b"x-autotrace-trace-id: " + f"{root.trace_id:032x}".encode() in client.received.lower()


def test_after_the_answer(traced: Spans) -> None:
    """It has what it wanted."""
    with served_by_uvicorn(asgi_app(Told())) as port:
        client = Client(port, "/whole")
        client.wait_for(b"because")
        client.hang_up()
        root = root_of(traced)
    assert (root.outcome, root.status, root["output.value"]) == (None, "ok", "because")


def flask_app() -> Flask:
    """A stream without an end."""
    app = Flask("app")

    @app.get("/stream")
    def stream() -> Response:
        def pieces() -> Iterator[bytes]:
            while True:
                with autotrace.span("think"):
                    pass
                yield b"piece"
                time.sleep(0.01)

        return Response(pieces())

    return app


def test_by_wsgi(traced: Spans) -> None:
    """The server closes the body."""
    server = make_server("127.0.0.1", 0, flask_app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        client = Client(server.server_port, "/stream")
        client.wait_for(b"piece")
        client.hang_up()
        root = root_of(traced)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (root.name, root.outcome) == ("GET /stream", "disconnected")


PROGRAM = """
import time
import autotrace
from flask import Flask, Response
app = Flask("app")

@app.get("/stream")
def stream():
    def pieces():
        while True:
            with autotrace.span("think"):
                pass
            yield b"piece"
            time.sleep(0.01)
    return Response(pieces())
"""


def test_gunicorn(tmp_path: Path) -> None:
    """So does gunicorn, in a process of its own."""
    (tmp_path / "app.py").write_text(PROGRAM)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACE", "OTEL_", "PYTHON"))}
    environment = {**kept, "AUTOTRACE_HOME": str(tmp_path / "home")}
    folder = Path(sys.executable).parent
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [folder / "autotrace", "run", folder / "gunicorn", "app:app", "-b", f"fd://{listener.fileno()}"],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        try:
            client = Client(port, "/stream")
            client.wait_for(b"piece")
            client.hang_up()

            def traces() -> Any:
                command = [folder / "autotrace", "traces", "--json"]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
                return [one for one in json.loads(done.stdout) if one["status"] != "running"]

            until(traces, "no trace has ended")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    (trace,) = traces()
    assert (trace["name"], trace["status"], trace["error_count"]) == ("GET /stream", "disconnected", 0)
