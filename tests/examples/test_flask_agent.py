"""The LangChain agent on Flask, behind gunicorn."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotrace.testing import OpenAIServer

from .serving import Example, commands, model_settings, until


def test_a_question_is_one_trace(model: OpenAIServer, tmp_path: Path) -> None:
    """A request's trace has what was asked and answered, and the agent, its model calls and its tool beneath."""
    pytest.importorskip("langchain.agents")
    example = Example("flask_agent", tmp_path, model_settings(model.url, "gpt-4o-mini"))
    (command,) = commands(example.folder / "app.py")
    question = "When does the Louvre open?"
    with example.serve(command, ready="/health") as server:
        headers = {"x-session-id": "chat-7", "x-user-id": "alice", "x-request-id": "r-1"}
        response = server.client.post("/ask", json={"question": question}, headers=headers)
        assert response.status_code == 200, server.log.read_text()
        assert server.client.post("/ask", json=[]).status_code == 400
        verdict = {"request_id": "r-1", "value": True, "user": "alice"}
        assert server.client.post("/autotrace/feedback", json=verdict).status_code == 202
        until(lambda: [trace for trace in example.traces() if trace["feedback"]])

    (trace,) = example.traces()
    assert response.headers["x-autotrace-trace-id"] == trace["trace_id"]
    assert (trace["request"], trace["response"]) == (question, response.json()["answer"])
    assert (trace["session"], trace["user"], trace["status"]) == ("chat-7", "alice", "ok")
    assert [(told["value"], told["source"]) for told in trace["feedback"]] == [(True, "alice")]
    root, *inside = example.spans(trace["trace_id"])
    agent = next(span for span in inside if span["operation"] == "invoke_agent")
    assert agent["parent_id"] == root["span_id"]
    assert sorted(span["operation"] for span in inside if span["model"] or span["operation"] == "execute_tool") == [
        "chat",
        "chat",
        "execute_tool",
    ]
