"""Ordinary programs, traced with one import and without MLflow, as MLflow's own client sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from autotrace.testing.openai_server import Literal, OpenAIServer

from .mlflow_server import Server

EXAMPLES = Path(__file__).parents[3] / "examples"

OPENAI = """
import autotrace
import autotrace.auto
from openai import OpenAI

client = OpenAI()
with autotrace.context(session="chat-7", user="alice", tags={"plan": "pro"}):
    reply = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
    )
    with autotrace.span("lookup", input={"city": "Oslo"}, operation="execute_tool") as span:
        span.set(output={"degrees": 4})
        trace_id = autotrace.current_trace_id()
        client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
autotrace.log_feedback(True, trace_id=trace_id, user="alice", comment="good")
autotrace.flush(30)
"""

#: The same first call with MLflow's own autolog in place of ours.
AUTOLOG = """
import mlflow, os
mlflow.set_experiment(os.environ["MLFLOW_EXPERIMENT_NAME"])
mlflow.openai.autolog()
from openai import OpenAI

OpenAI().chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
)
mlflow.flush_trace_async_logging()
"""


def needs(*requirements: str) -> None:
    """Skips the test where one of the distributions is not installed in this environment."""
    for text in requirements:
        wanted = Requirement(text)
        try:
            if not wanted.specifier.contains(version(wanted.name), prereleases=True):
                pytest.skip(f"{text} is not installed here")
        except PackageNotFoundError:
            pytest.skip(f"{text} is not installed here")


def run(python: Path | str, program: Path, server: Server, experiment: str, model: str, folder: Path) -> None:
    """Runs a program to its good end; its spans go to MLflow by MLflow's own variables."""
    inherited = {
        name: text for name, text in os.environ.items() if not name.startswith(("AUTOTRACE_", "MLFLOW_", "OTEL_"))
    }
    environment = {
        **inherited,
        "MLFLOW_TRACKING_URI": server.url,
        "MLFLOW_EXPERIMENT_NAME": experiment,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AUTOTRACE_HOME": str(folder / "home"),
        "AUTOTRACE_EXIT_TIMEOUT": "30",
        "OPENAI_BASE_URL": model,
        "OPENAI_API_KEY": "sk-test",
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        [python, program], capture_output=True, text=True, cwd=folder, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "autotrace" not in done.stderr, done.stderr


def written(folder: Path, code: str) -> Path:
    program = folder / "program.py"
    program.write_text(textwrap.dedent(code))
    return program


#: What OpenAI answers, with the name of a model that has a price.
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Because."}}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 400},
    },
}


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A server that speaks OpenAI's API."""
    with OpenAIServer() as server:
        yield server


def answer() -> Literal:
    return Literal(200, {"content-type": "application/json"}, json.dumps(ANSWER).encode())


@pytest.fixture
def scripted_url() -> Iterator[str]:
    """The scripted model of the examples, which calls tools."""
    command = [sys.executable, str(EXAMPLES / "local_model" / "scripted.py"), "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.kill()


def traces(server: Server, experiment: str) -> list[dict[str, Any]]:
    """All of an experiment, by MLflow's own client, the oldest first."""
    found: list[dict[str, Any]] = server.client(
        f"number = client.get_experiment_by_name({experiment!r}).experiment_id\n"
        "found = client.search_traces(locations=[number], order_by=['timestamp_ms ASC'])\n"
        "result = [dict(id=t.info.trace_id.removeprefix('tr-'), name=t.info.tags.get('mlflow.traceName'),"
        " state=t.info.state.value, request=t.info.request_preview, response=t.info.response_preview,"
        " tokens=t.info.token_usage, cost=t.info.cost, metadata=t.info.trace_metadata, tags=t.info.tags,"
        " spans=[dict(name=s.name, type=s.span_type, inputs=s.inputs, outputs=s.outputs, attributes=s.attributes)"
        " for s in t.data.spans], assessments=[[a.name, a.value, a.rationale, a.source.source_id]"
        " for a in t.info.assessments]) for t in found]"
    )
    return found


def test_openai(mlflow_server: Server, experiment: str, openai_server: OpenAIServer, tmp_path: Path) -> None:
    """A chat, a tool, an embedding: names, previews, types, tokens, cost, labels and feedback are there."""
    needs("openai")
    openai_server.script(answer())
    run(sys.executable, written(tmp_path, OPENAI), mlflow_server, experiment, openai_server.url, tmp_path)
    chat, tool = traces(mlflow_server, experiment)
    assert (chat["name"], chat["state"], chat["request"]) == ("chat gpt-4o-mini", "OK", "Why?")
    assert chat["response"] == "Because."
    assert [span["type"] for span in chat["spans"]] == ["CHAT_MODEL"]
    assert chat["tokens"] == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "total_tokens": 1100,
        "cache_read_input_tokens": 400,
    }
    input_cost, output_cost = 600 * 0.15e-6 + 400 * 0.075e-6, 100 * 0.6e-6
    assert chat["cost"] == pytest.approx(
        {"input_cost": input_cost, "output_cost": output_cost, "total_cost": input_cost + output_cost}
    )
    assert [(span["name"], span["type"]) for span in tool["spans"]] == [
        ("lookup", "TOOL"),
        ("embeddings text-embedding-3-small", "EMBEDDING"),
    ]
    assert (tool["spans"][0]["inputs"], tool["spans"][0]["outputs"]) == ({"city": "Oslo"}, {"degrees": 4})
    assert (tool["tokens"]["output_tokens"], tool["tokens"]["total_tokens"]) == (0, tool["tokens"]["input_tokens"])
    for trace in (chat, tool):
        labels = trace["metadata"]["mlflow.trace.session"], trace["metadata"]["mlflow.trace.user"]
        assert (labels, trace["tags"]["plan"]) == (("chat-7", "alice"), "pro")
    assert (chat["assessments"], tool["assessments"]) == ([], [["feedback", True, "good", "alice"]])


def test_beside_mlflows_own(
    mlflow_server: Server, experiment: str, openai_server: OpenAIServer, tmp_path: Path
) -> None:
    """A call that autotrace has recorded is what MLflow's own autolog makes of the same call."""
    needs("openai>=3")  # as in MLflow's environment
    for python, code in ((sys.executable, OPENAI), (mlflow_server.python, AUTOLOG)):
        openai_server.script(answer())
        run(python, written(tmp_path, code), mlflow_server, experiment, openai_server.url, tmp_path)
    ours, _, theirs = traces(mlflow_server, experiment)
    for key in ("state", "request", "response", "tokens"):
        assert ours[key] == theirs[key], key
    our_span, their_span = ours["spans"][0], theirs["spans"][0]
    assert our_span["type"] == their_span["type"] == "CHAT_MODEL"
    for key in ("model", "messages"):
        assert our_span["inputs"][key] == their_span["inputs"][key], key
    (our_choice,), (their_choice,) = our_span["outputs"]["choices"], their_span["outputs"]["choices"]
    assert our_choice["finish_reason"] == their_choice["finish_reason"] == "stop"
    said = {key: value for key, value in their_choice["message"].items() if value}
    assert our_choice["message"] == said
    # The log level says which spans the UI hides at first: ours are all to be seen.
    apart = {"mlflow.spanLogLevel", "mlflow.traceRequestId", "mlflow.spanInputs", "mlflow.spanOutputs"}
    native = {key for key in their_span["attributes"] if key.startswith("mlflow.")} - apart
    assert {"mlflow.spanType", "mlflow.llm.model", "mlflow.chat.tokenUsage", "mlflow.message.format"} <= native
    for key in native - {"mlflow.llm.cost"}:
        assert our_span["attributes"][key] == their_span["attributes"][key], key
    assert our_span["attributes"]["mlflow.llm.cost"] == pytest.approx(their_span["attributes"]["mlflow.llm.cost"])
    told = {"mlflow.source.name", "mlflow.source.type", "mlflow.trace.tokenUsage", "mlflow.trace.cost"}
    assert told <= set(theirs["metadata"])
    assert told <= set(ours["metadata"])


def test_langchain(mlflow_server: Server, experiment: str, scripted_url: str, tmp_path: Path) -> None:
    """An agent with tools: the tree is typed, tools count in the dashboard, tokens are not doubled."""
    needs("langchain>=1", "langchain-openai")
    run(sys.executable, EXAMPLES / "langchain_agent.py", mlflow_server, experiment, scripted_url, tmp_path)
    asked, watched = traces(mlflow_server, experiment)
    assert (asked["name"], asked["request"]) == ("guide", "What is the weather in Paris?")
    assert asked["response"] == "The weather in Paris is 18 degrees and rain."
    assert watched["response"].startswith("The Louvre is open from 9 to 18")
    types = [(span["name"], span["type"]) for span in asked["spans"]]
    assert types[0] == ("guide", "AGENT")
    assert ("get_weather", "TOOL") in types
    assert sum(kind == "CHAT_MODEL" for _, kind in types) == 2
    billed = [span["attributes"].get("mlflow.chat.tokenUsage") for span in asked["spans"]]
    assert asked["tokens"]["total_tokens"] == sum(usage["total_tokens"] for usage in billed if usage) > 0
    calls = mlflow_server.metric(experiment, "SPANS", "span_count", "span_name", "span_type", how="COUNT")
    assert (calls["get_weather", "TOOL"], calls["get_opening_hours", "TOOL"]) == (1, 1)
    found = mlflow_server.search(experiment, "span.type = 'TOOL' AND span.name = 'get_weather'")
    assert [one["trace_id"] for one in found] == [f"tr-{asked['id']}"]


def test_llama_index(mlflow_server: Server, experiment: str, scripted_url: str, tmp_path: Path) -> None:
    """A query over documents: the retriever's documents are shown as documents, the answer as a conversation."""
    needs("llama-index-llms-openai-like", "llama-index-embeddings-openai")
    run(sys.executable, EXAMPLES / "llama_index_rag.py", mlflow_server, experiment, scripted_url, tmp_path)
    query = traces(mlflow_server, experiment)[-1]
    assert query["request"] == "How many days of holiday do I have a year?"
    assert "28 days of paid holiday" in query["response"]
    by_type = {span["type"]: span for span in query["spans"]}
    assert {"RETRIEVER", "EMBEDDING", "CHAT_MODEL"} <= set(by_type)
    documents = by_type["RETRIEVER"]["outputs"]
    assert len(documents) == 2
    assert {"page_content", "metadata", "id"} <= set(documents[0])
    assert "28 days" in json.dumps(documents)
