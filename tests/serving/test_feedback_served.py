"""Feedback over HTTP, in real applications behind real servers."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .matrix.serving_process import ServingProcess, free_port

FAKES = Path(__file__).with_name("fakes")
ASGI = """
import autotrace, acme_web

async def handler(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    status = {"/ask": 200, "/health": 200}.get(scope["path"], 404)
    if scope["path"] == "/ask":
        with autotrace.span("think"):
            pass
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"an answer"})

app = acme_web.Asgi(handler)
"""
WSGI = """
import autotrace, acme_web

def handler(environ, start_response):
    path = environ["PATH_INFO"]
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if path == "/ask":
        with autotrace.span("think"):
            pass
    start_response("200 OK" if path in ("/ask", "/health") else "404 Not Found", [("Content-Length", "9")])
    return [b"an answer"]

app = acme_web.Wsgi(handler)
if __name__ == "__main__":
    import sys, wsgiref.simple_server

    wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""
STACKS = {
    "uvicorn": (ASGI, "uvicorn app:app --host 127.0.0.1 --port {port} --log-level warning --workers 2"),
    "hypercorn": (ASGI, "hypercorn app:app --bind 127.0.0.1:{port} --log-level warning"),
    "gunicorn": (WSGI, "gunicorn app:app --bind 127.0.0.1:{port} --log-level warning --workers 2"),
    "wsgiref": (WSGI, "app.py {port}"),
}
PATH, CANARY = "/autotrace/feedback", "canary-Zq7"
JSON = {"Content-Type": "application/json"}


class Client:
    """Asks over a connection of its own each time; no answer may have a header twice.

    Attributes:
        is_old: Whether the server speaks HTTP/1.0, and so takes no body without a length.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_old = False

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] = JSON
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            self.is_old = reply.version == 10
            names = [name.lower() for name, _ in reply.getheaders()]
            assert len(set(names)) == len(names), reply.getheaders()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()

    def is_ready(self) -> bool:
        try:
            return self("GET", "/health")[0] == 200
        except OSError:
            return False


@pytest.fixture(params=sorted(STACKS))
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ServingProcess, Client]]:
    """An application that takes feedback from the pages of one other origin."""
    source, command = STACKS[request.param]
    (tmp_path / "app.py").write_text(source)
    foreign = ("AUTOTRACE", "OTEL_", "PYTHON")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(foreign)} | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join([str(FAKES), str(tmp_path)]),
        "AUTOTRACE_HOME": str(tmp_path / "home"),
        "AUTOTRACE_PLUGINS": "acme_web_tracing",
        "AUTOTRACE_FEEDBACK_ORIGINS": "https://chat.example.org",
    }
    port = free_port()
    words = [sys.executable, "-m", "autotrace", "run", *command.format(port=port).split()]
    process, client = ServingProcess(words, tmp_path, environment), Client(port)
    try:
        process.wait(client.is_ready)
        yield process, client
    finally:
        process.kill()


def test_served(served: tuple[ServingProcess, Client], tmp_path: Path) -> None:
    """An answer's trace and its request take feedback; nothing else of the application changes, and no log tells."""
    process, client = served
    _, headers, answer = client("POST", "/ask", "{}", {**JSON, "X-Request-ID": "r-1"})
    trace_id = headers["x-autotrace-trace-id"]
    assert answer == b"an answer"

    def give(user: str, **said: Any) -> bytes:
        return json.dumps({"value": True, "user": user, "comment": CANARY, **said}).encode()

    by_trace, by_request = give("alice", trace_id=trace_id), give("bob", request_id="r-1")
    assert [client("POST", PATH, body)[0] for body in (by_trace, by_request)] == [202, 202]
    carols = by_trace.replace(b"alice", b"carol")
    assert client("POST", PATH, carols if client.is_old else iter([carols[:10], carols[10:]]))[0] == 202
    assert client("POST", PATH, give("dora", request_id="r-2"))[0] == 404
    assert client("POST", PATH, by_trace[:-1])[0] == 400
    assert client("POST", PATH, by_trace, {"Content-Type": "text/plain"})[0] == 415
    # One byte too many, so that all of it is read: who sends more may find the connection closed before the answer.
    too_long = by_trace.ljust(64 * 1024 + 1)
    assert client("POST", PATH, too_long)[0] == 413
    if not client.is_old:
        assert client("POST", PATH, iter([too_long[:100], too_long[100:]]))[0] == 413
    assert client("GET", PATH)[0] == 405
    assert client("HEAD", PATH)[::2] == (405, b"")
    asking = {"Origin": "https://chat.example.org", "Access-Control-Request-Method": "POST"}
    status, headers, body = client("OPTIONS", PATH, None, asking)
    assert (status, headers["access-control-allow-origin"], body) == (204, asking["Origin"], b"")
    assert client("OPTIONS", PATH, None, {**asking, "Origin": "https://evil"})[0] == 403
    assert client("POST", PATH + "/", by_trace)[0] in (404, 405)
    assert process.terminate()
    drain = [sys.executable, "-m", "autotrace", "drain"]
    subprocess.run(drain, cwd=tmp_path, env={**os.environ, "AUTOTRACE_HOME": str(tmp_path / "home")}, check=True)
    assert CANARY not in process.log
    assert "Traceback" not in process.log
    with closing(sqlite3.connect(tmp_path / "home" / "traces.db")) as store:
        feedback = store.execute("SELECT trace_id, source, value, comment FROM feedback ORDER BY source").fetchall()
        traces = store.execute("SELECT DISTINCT trace_id FROM spans").fetchall()
    assert feedback == [(trace_id, user, "true", CANARY) for user in ("alice", "bob", "carol")]
    assert traces == [(trace_id,)]
