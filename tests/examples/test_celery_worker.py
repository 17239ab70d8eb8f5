"""A web application and its Celery worker: processes of their own, with a broker between them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrace.testing import OpenAIServer

from .serving import Example, commands, free_port, model_settings, until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a broker: a Redis where one is installed, else Celery's folders."""
    program = shutil.which("redis-server")
    if program is None:
        queue = tmp_path / "queue"
        yield {"BROKER_URL": "filesystem://", "RESULT_URL": queue.as_uri(), "QUEUE_FOLDER": str(queue)}
        return
    port = str(free_port())
    options = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("Ready to accept connections" in line for line in process.stdout)
        yield {"BROKER_URL": f"redis://127.0.0.1:{port}/0"}
        process.terminate()


def test_request_and_task_are_told_together(model: OpenAIServer, tmp_path: Path, broker: dict[str, str]) -> None:
    """The request and the task that it sends are a trace each, of one session and user; the task's has a link."""
    example = Example("celery_worker", tmp_path, {**model_settings(model.url, "gpt-4o-mini"), **broker})
    worker, web = commands(example.folder / "web.py")
    with example.run([*worker, "--concurrency", "1"]) as (_, log), example.serve(web, ready="/health") as server:
        ticket = {"text": "My parcel has not arrived.", "session_id": "chat-7", "user_id": "alice"}
        response = server.client.post("/tickets", json=ticket)
        assert response.status_code == 202, server.log.read_text()
        shown = f"/tickets/{response.json()['id']}"
        until(lambda: server.client.get(shown).json()["state"] == "success", log.read_text)
        draft = server.client.get(shown).json()["draft"]
        until(lambda: len(example.traces()) == 2, log.read_text)

    request, task = example.traces()
    assert request["trace_id"] == response.headers["x-autotrace-trace-id"]
    assert [(trace["session"], trace["user"], trace["status"]) for trace in (request, task)] == [
        ("chat-7", "alice", "ok")
    ] * 2
    root, call = example.spans(task["trace_id"])
    assert (call["operation"], call["parent_id"]) == ("chat", root["span_id"])
    assert draft in task["response"]
    assert [link["trace_id"] for link in root["links"]] == [request["trace_id"]]
