"""A ResponsesAgent behind MLflow's AgentServer: where both are in one environment (tox -e mlflow-serving)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from autotrace.testing import OpenAIServer

from .serving import Example, Server, commands, model_settings, require, until

QUESTION = "What is the weather in Oslo?"


@pytest.fixture(scope="module")
def example(model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example, not started yet; what MLflow records by itself goes to a file."""
    if find_spec("mlflow") is None:
        require("REQUIRE_MLFLOW_SERVING", "MLflow is not in this environment (tox -e mlflow-serving has it)")
    folder = tmp_path_factory.mktemp("mlflow")
    settings = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AUTOTRACE_DESTINATION": "store",
    }
    return Example("mlflow_agent_server", folder, {**model_settings(model.url, "gpt-4o-mini"), **settings})


@pytest.fixture(scope="module")
def server(example: Example) -> Iterator[Server]:
    """The example as its docstring starts it."""
    (command,) = commands(example.folder / "serve.py")
    with example.serve(command, ready="/health") as running:
        yield running


def asked(session: str, **more: Any) -> dict[str, Any]:
    """A question, as MLflow's clients ask it."""
    context = {"conversation_id": session, "user_id": "alice"}
    return {"input": [{"role": "user", "content": QUESTION}], "context": context, **more}


def trace_of(example: Example, session: str) -> dict[str, Any]:
    """The one trace of a session."""
    (trace,) = until(lambda: [trace for trace in example.traces() if trace["session"] == session])
    return trace


def test_an_answer_in_one_piece(model: OpenAIServer, example: Example, server: Server) -> None:
    """A request's trace has its session and user, question and answer, and both model calls."""
    response = server.client.post("/responses", json=asked("whole"))
    assert response.status_code == 200, server.log.read_text()
    answer = response.json()["output"][-1]["content"][0]["text"]
    trace = trace_of(example, "whole")
    assert response.headers["x-autotrace-trace-id"] == trace["trace_id"]
    assert (trace["request"], trace["response"]) == (QUESTION, answer)
    assert (trace["user"], trace["status"]) == ("alice", "ok")
    assert [span["operation"] for span in example.spans(trace["trace_id"])[1:]] == ["chat", "chat"]


def test_an_answer_in_pieces(example: Example, server: Server) -> None:
    """A streamed answer too; what AgentServer tells of its own trace, when asked, is left as it is."""
    headers = {"x-mlflow-return-trace-id": "true"}
    with server.client.stream("POST", "/responses", json=asked("pieces", stream=True), headers=headers) as response:
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert data.pop() == "[DONE]"
    assert json.loads(data.pop())["trace_id"].startswith("tr-")
    trace = trace_of(example, "pieces")
    assert response.headers["x-autotrace-trace-id"] == trace["trace_id"]
    assert (trace["request"], trace["status"]) == (QUESTION, "ok")
    assert trace["response"] == json.loads(data[-1])["item"]["content"][0]["text"]
    assert [span["operation"] for span in example.spans(trace["trace_id"])[1:]] == ["chat", "chat"]


def test_feedback(example: Example, server: Server) -> None:
    """Feedback is taken where the agent is served."""
    trace_id = server.client.post("/invocations", json=asked("thumb")).headers["x-autotrace-trace-id"]
    verdict = {"trace_id": trace_id, "value": False, "comment": "Too cold.", "user": "alice"}
    assert server.client.post("/autotrace/feedback", json=verdict).status_code == 202
    (told,) = until(lambda: trace_of(example, "thumb")["feedback"])
    assert (told["value"], told["comment"]) == (False, "Too cold.")
