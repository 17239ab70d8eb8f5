"""A real Phoenix gets a program's spans by OTLP, and shows them as what they are."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrace.testing.openai_server import OpenAIServer

#: An interpreter that has arize-phoenix: an environment of its own, as a server has.
PYTHON = os.environ.get("PHOENIX_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="PHOENIX_PYTHON names no interpreter (tox -e phoenix does)")

PROGRAM = """
    with autotrace.span("answer", operation="invoke_agent", input="is it raining?") as answer:
        autotrace.update_trace(session="chat-7", user="alice", tags={"plan": "pro"})
        client.embeddings.create(model="text-embedding-3-small", input="rain")
        with autotrace.span("weather", operation="execute_tool", input={"city": "Rome"}) as tool:
            tool.set(output="rain")
        usage = ask("is it raining?").usage
        answer.set(output="yes")
    try:
        client.chat.completions.create(model="gpt-4o", messages=[])
    except openai.BadRequestError:
        pass
    for number in range(250):
        with autotrace.span(f"step {number}"):
            pass
    assert autotrace.flush(60)
    print(usage.prompt_tokens, usage.completion_tokens)
"""


class Phoenix:
    """A running Phoenix, asked by its own API."""

    def __init__(self, folder: Path) -> None:
        ports = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as holder:
                ports.append(holder.getsockname()[1])
        self.url = f"http://127.0.0.1:{ports[0]}"
        environment = {
            **os.environ,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(ports[0]),
            "PHOENIX_GRPC_PORT": str(ports[1]),
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [PYTHON, "-m", "phoenix.server.main", "serve"],
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def is_up(self) -> bool:
        assert self.process.poll() is None, "Phoenix has ended"
        try:
            urllib.request.urlopen(f"{self.url}/healthz", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def ask(self, query: str) -> Any:
        """The answer to a GraphQL query."""
        request = urllib.request.Request(
            f"{self.url}/graphql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer = json.load(reply)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def spans(self) -> list[Any]:
        """All spans of the default project."""
        with urllib.request.urlopen(f"{self.url}/v1/projects/default/spans?limit=1000", timeout=30) as reply:
            return json.load(reply)["data"]  # type: ignore[no-any-return]


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.1)


@pytest.fixture
def phoenix(tmp_path: Path) -> Iterator[Phoenix]:
    """Phoenix in a folder of its own, ready to take spans."""
    folder = tmp_path / "phoenix"
    folder.mkdir()
    running = Phoenix(folder)
    try:
        wait_for(running.is_up)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(30)
        running.log.close()


def test_phoenix_shows_what_ran(phoenix: Phoenix, program: Any, server: OpenAIServer) -> None:
    """Every span is there, typed, with model, tokens, input, output, session and tags; tokens are counted once."""
    status, printed, errors = program.run(
        PROGRAM,
        AUTOTRACE_DESTINATION="otlp",
        AUTOTRACE_OTLP_DIALECT="phoenix",
        OTEL_EXPORTER_OTLP_ENDPOINT=phoenix.url,
    )
    assert status == 0, errors
    prompt, completion = map(int, printed.split())
    wait_for(lambda: len(phoenix.spans()) >= 255)
    found = phoenix.spans()
    assert len(found) == len({span["context"]["span_id"] for span in found}) == 255
    kinds = {span["name"]: span["span_kind"] for span in found if not span["name"].startswith("step")}
    assert kinds == {
        "invoke_agent answer": "AGENT",
        "embeddings text-embedding-3-small": "EMBEDDING",
        "execute_tool weather": "TOOL",
        "chat gpt-4o": "LLM",
    }
    chats = {span["status_code"]: span for span in found if span["name"] == "chat gpt-4o"}
    assert chats.keys() == {"OK", "ERROR"}
    attributes = chats["OK"]["attributes"]
    assert attributes["llm.token_count.prompt"] == prompt
    assert attributes["llm.token_count.completion"] == completion
    assert attributes["llm.input_messages.0.message.content"] == "is it raining?"
    assert attributes["input.value"] == "is it raining?"
    assert (attributes["session.id"], attributes["user.id"], attributes["metadata.plan"]) == ("chat-7", "alice", "pro")
    [project] = phoenix.ask(
        "{projects {edges {node {tokenCountTotal sessions(first: 9) {edges {node {sessionId tokenUsage {total}}}}}}}}"
    )["projects"]["edges"]
    assert project["node"]["tokenCountTotal"] == prompt + completion
    [session] = project["node"]["sessions"]["edges"]
    assert session["node"] == {"sessionId": "chat-7", "tokenUsage": {"total": prompt + completion}}
