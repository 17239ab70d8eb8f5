"""Two services, each a process, one of which asks the other one: a trace of both; a third one is none of theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

SERVICE = """
import socket, sys
import httpx, uvicorn
from fastapi import FastAPI, Request
import autotrace

other, app = sys.argv[1], FastAPI()

@app.post("/chats/{id}")
async def front(id: str, request: Request):
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{other}/answers/{id}", json=await request.json())
    return reply.json()

@app.post("/answers/{id}")
def back(id: str):
    with autotrace.span("ask the model"):
        httpx.post(other, json={"question": "why?"}, trust_env=False)
    return {"answer": "because"}

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])
"""


class Stranger(HTTPServer):
    """Keeps the headers of what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.seen: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Stranger

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stays silent."""


def test_one_trace_of_two_services(tmp_path: Path) -> None:
    """Each has its part, complete, the second beneath the first; whom the settings do not name sees no header."""
    program = tmp_path / "service.py"
    program.write_text(SERVICE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACE", "OTEL_", "PYTHON"))}
    autotrace = str(Path(sys.executable).parent / "autotrace")

    def environment(*names: str) -> dict[str, str]:
        return {**kept, "AUTOTRACE_HOME": str(tmp_path / "home"), "AUTOTRACE_PROPAGATE_TO": ",".join(names)}

    def served(other: str, *names: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [autotrace, "run", str(program), other], env=environment(*names), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, f"127.0.0.1:{process.stdout.readline().strip()}"

    def told(*command: str) -> Any:
        done = subprocess.run([autotrace, *command], env=environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    stranger = Stranger()
    thread = threading.Thread(target=stranger.serve_forever, args=(0.02,))
    thread.start()
    processes = []
    try:
        back, back_host = served(stranger.url, "agents.example.org")
        processes.append(back)
        front, front_host = served(f"http://{back_host}", back_host)
        processes.append(front)
        asked = urllib.request.Request(
            f"http://{front_host}/chats/7", b'{"question": "why?"}', {"Content-Type": "application/json"}
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(asked, timeout=30) as reply:
            assert json.load(reply) == {"answer": "because"}
            trace_id = reply.headers["x-autotrace-trace-id"]
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        stranger.shutdown()
        thread.join()
        stranger.server_close()
    assert subprocess.run([autotrace, "drain"], env=environment(), timeout=60, check=False).returncode == 0
    (trace,) = told("traces", "--json")
    assert (trace["trace_id"], trace["status"], trace["span_count"]) == (trace_id, "ok", 3)
    first, second, third = told("traces", "show", trace_id, "--json")["spans"]
    names = [span["name"] for span in (first, second, third)]
    assert names == ["POST /chats/{id}", "POST /answers/{id}", "ask the model"]
    assert (first["parent_id"], second["parent_id"], third["parent_id"]) == (None, first["span_id"], second["span_id"])
    assert {span["status"] for span in (first, second, third)} == {"ok"}
    assert first["attributes"]["output.value"] == second["attributes"]["output.value"] == "because"
    (headers,) = stranger.seen
    assert not [name for name in headers if "trace" in name]
