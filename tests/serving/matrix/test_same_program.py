"""One program file, run by hand and served: its traces have one shape, and are told apart by their environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrace.store.reader import Trace
from autotrace.store.spans import Span

from .arrived import traces_of
from .conftest import Model
from .load import HttpClient, Question
from .serving_process import ServingProcess, free_port
from .test_matrix import APPS, drain

#: What a span says of the request that it belongs to, and of how long something took.
WHOSE = ("session.id", "user.id", "gen_ai.conversation.id")
TIMES = ("gen_ai.response.time_to_first_chunk",)
QUESTION = Question(7, "/ask", in_body=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the program lies."""
    pytest.importorskip("langchain_openai", reason="the program is an agent of LangChain's")
    shutil.copy(APPS / "program.py", tmp_path)
    return tmp_path


def test_same_program(folder: Path, environment: dict[str, str], model: Model) -> None:
    """Beneath the request, a served program's trace is what it is by hand; all but that tells the two apart."""
    run = [sys.executable, "-m", "autotrace", "run"]
    by_hand = subprocess.run(
        [*run, "program.py", QUESTION.text], capture_output=True, text=True, cwd=folder, env=environment, timeout=60
    )
    assert by_hand.returncode == 0, by_hand.stderr
    port = free_port()
    command = [*run, "uvicorn", "program:app", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    served, client = ServingProcess(command, folder, environment), HttpClient(port)
    try:
        served.wait(client.is_ready)
        answer = client.ask(QUESTION)
    finally:
        served.kill()
    drain(folder, environment)

    assert answer.text == by_hand.stdout.strip()
    first, second = sorted(traces_of(folder / "home" / "traces.db"), key=lambda trace: trace.summary.start_ns)
    assert (first.summary.environment, second.summary.environment) == ("development", "production")
    assert (first.summary.session, second.summary.session) == (None, QUESTION.session)
    (root,), (request,) = ([span for span in trace.spans if span.parent_id is None] for trace in (first, second))
    (beneath,) = [span for span in second.spans if span.parent_id == request.span_id]
    assert request.name == "POST /ask"
    assert tree(second, beneath) == tree(first, root)
    assert len(first.spans) > 3


def tree(trace: Trace, span: Span) -> dict[str, Any]:
    """A span and all beneath it, without what differs from run to run: ids and times."""
    payload = trace.payload(span)
    content = {name: text for name, text in payload.attributes.items() if name not in (*WHOSE, *TIMES)}
    return {
        "name": span.name,
        "operation": span.operation,
        "kind": payload.kind,
        "status": span.status,
        "scope": payload.scope,
        "tokens": span.tokens.as_json(),
        "attributes": content,
        "events": [event["name"] for event in payload.events],
        "spans": [tree(trace, child) for child in trace.spans if child.parent_id == span.span_id],
    }
