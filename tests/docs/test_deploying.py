"""docs/deploying: the commands that serve an example do, and what is asked of it then is one trace."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from autotrace.testing import OpenAIServer

from ..examples.serving import SCRIPTS, Example, free_port, model_settings, until

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("deploying/*.md"))

#: A block that starts an example.
BLOCK = re.compile(r"^```sh\ncd examples/serving/(?P<example>\w+)\n(?P<command>.+)\n```$", re.MULTILINE)

#: How each example is asked something, and where it says that it is up.
CHAT = ("/", "/chat", {"messages": [{"role": "user", "content": "Why?"}]})
ASK = ("/health", "/ask", {"question": "Why?"})
QUESTIONS: dict[str, tuple[str, str, dict[str, Any]]] = {"fastapi_chat": CHAT, "flask_agent": ASK}

#: What is run each time. The rest, on servers that tests/serving/matrix has too, where SERVING_MATRIX=whole asks.
QUICK = {"uvicorn app:app --port 8000"}

#: What tests/examples runs, with all that they need: a broker, MLflow, Ray.
ELSEWHERE = {"celery_worker", "mlflow_agent_server", "ray_serve"}

COMMANDS = [
    pytest.param(
        found["example"], found["command"], id=f"{page.stem}: {found['command'].removeprefix('autotrace run ')}"
    )
    for page in PAGES
    for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
    if found["example"] not in ELSEWHERE
]


def test_quick_commands_are_on_a_page() -> None:
    """What is run each time has not got lost."""
    assert {f"autotrace run {command}" for command in QUICK} <= {parameters.values[1] for parameters in COMMANDS}


def test_every_page_is_linked() -> None:
    """docs/deploying.md leads to each page of a stack."""
    text = (DOCS / "deploying.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"](deploying/{page.name})" not in text] == []


def test_commands_elsewhere_are_those_of_the_examples() -> None:
    """A command that is not run here starts as the one that the example names itself, which is."""
    for page in PAGES:
        for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if found["example"] in ELSEWHERE:
                files = Path(DOCS.parent / "examples" / "serving" / found["example"]).glob("*.py")
                own = {line.strip().removesuffix(" &") for file in files for line in file.read_text().splitlines()}
                assert any(found["command"].startswith(line) for line in own if line.startswith("autotrace run ")), (
                    found
                )


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_command_serves_and_traces(model: OpenAIServer, tmp_path: Path, name: str, command: str) -> None:
    """What the page says serves the example; a question is one trace, whole when the server has ended."""
    if command.removeprefix("autotrace run ") not in QUICK and os.environ.get("SERVING_MATRIX") != "whole":
        pytest.skip("one of many: SERVING_MATRIX=whole asks for it")
    words = shlex.split(command)
    if not (SCRIPTS / words[2]).exists():
        pytest.skip(f"{words[2]} is not installed")
    if name == "flask_agent":
        pytest.importorskip("langchain.agents")
    port = str(free_port())
    words = [word.replace("8000", port) for word in words]
    ready, path, body = QUESTIONS[name]
    example = Example(name, tmp_path, model_settings(model.url, "gpt-4o-mini"))
    with example.serve(words, ready=ready, port=int(port)) as server:
        response = server.client.post(path, json=body, headers={"x-session-id": "chat-7"})
        assert response.status_code == 200, server.log.read_text()
        trace_id = response.headers["x-autotrace-trace-id"]

    def whole() -> dict[str, Any] | None:
        return next((trace for trace in example.traces() if trace["status"] == "ok"), None)

    trace = until(whole, server.log.read_text)
    assert len(example.traces()) == 1
    assert (trace["trace_id"], trace["request"], trace["session"]) == (trace_id, "Why?", "chat-7")
    assert trace["environment"] == "production"
