"""Cells of IPython's own shell: each that leads to a traced call is a trace."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from opentelemetry.trace import SpanKind, StatusCode
from traitlets.config import Config

from ..conftest import Collected

ASK = "import autotrace\ndef ask(text):\n    with autotrace.span('chat', input=text):\n        return 'because ' + text"


@pytest.fixture
def shell(spans: Collected, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell without a history, in which `ask` leads to a traced call."""
    config = Config()
    config.HistoryManager.enabled = False
    found = InteractiveShell(config=config, user_module=ModuleType("cells"))
    assert found.run_cell(ASK).success
    yield found
    atexit.unregister(found.atexit_operations)
    found.atexit_operations()


def test_a_cell_is_a_trace(shell: InteractiveShell, spans: Collected) -> None:
    """By its source, with the value that it shows."""
    result = shell.run_cell("question = 'why'\nask(question)", store_history=True, cell_id="c-1")
    assert (result.success, result.result) == (True, "because why")
    root = spans.named("cell")
    assert (root.parent, root.kind, root.status.status_code) == (None, SpanKind.INTERNAL, StatusCode.OK)
    assert root.attributes["input.value"] == "question = 'why'\nask(question)"
    assert root.attributes["output.value"] == "because why"
    assert (root.attributes["ipython.execution_count"], root.attributes["ipython.cell_id"]) == (1, "c-1")
    assert spans.named("chat").parent.span_id == root.get_span_context().span_id


def test_without_a_traced_call_no_trace(shell: InteractiveShell, spans: Collected) -> None:
    """Any other cell leaves nothing, nor does an empty one."""
    assert shell.run_cell("1 + 1").result == 2
    assert shell.run_cell("  \n").success
    assert spans.finished == []


@pytest.mark.parametrize("error", ["ask('why'); 1 / 0", "ask('why')\nraise KeyboardInterrupt"])
def test_errors(shell: InteractiveShell, spans: Collected, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """IPython shows what a cell raises; the trace has it too."""
    result = shell.run_cell(error)
    root = spans.named("cell")
    assert root.attributes["error.type"] == type(result.error_in_exec).__name__
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes["error.type"] in capsys.readouterr().out


def test_cells_that_await(shell: InteractiveShell, spans: Collected) -> None:
    """A cell with `await` at its top, as the shell runs it and as Jupyter does."""
    source = (
        "import asyncio\nasync def later(text):\n    await asyncio.sleep(0)\n    return ask(text)\nawait later('why')"
    )
    assert shell.run_cell(source).result == "because why"

    async def kernel() -> list[Any]:
        run = shell.run_cell_async("await later('how')", transformed_cell="await later('how')")
        assert (asyncio.iscoroutine(run), run.__qualname__) == (True, "InteractiveShell.run_cell_async")
        first = await run
        left = await shell.run_cell_async(text := "task = asyncio.create_task(later('who'))", transformed_cell=text)
        await asyncio.gather(shell.user_ns["task"])
        return [first.result, left.result]

    assert asyncio.run(kernel()) == ["because how", None]
    roots = {span.attributes["input.value"]: span.get_span_context() for span in spans.finished if span.name == "cell"}
    chats = {span.attributes["input.value"]: span.parent for span in spans.finished if span.name == "chat"}
    assert {text: parent.span_id for text, parent in chats.items()} == {
        "why": roots[source].span_id,
        "how": roots["await later('how')"].span_id,
        "who": roots["task = asyncio.create_task(later('who'))"].span_id,  # the cell that has begun it
    }


def test_cells_within_cells(shell: InteractiveShell, spans: Collected) -> None:
    """What a cell runs lies in it: other cells, and applications that it calls in this process."""
    shell.run_cell(
        "from starlette.applications import Starlette\n"
        "from starlette.responses import PlainTextResponse\n"
        "from starlette.routing import Route\n"
        "from starlette.testclient import TestClient\n"
        "app = Starlette(routes=[Route('/ask', lambda request: PlainTextResponse(ask('why')))])\n"
        "get_ipython().run_cell(\"TestClient(app).get('/ask').text\").result\n"
    )
    outer, inner = sorted((s for s in spans.finished if s.name == "cell"), key=lambda s: s.start_time)
    request = spans.named("GET /ask")
    chain = [spans.named("chat"), request, inner]
    parents = [span.parent.span_id for span in chain]
    assert parents == [one.get_span_context().span_id for one in (request, inner, outer)]
    assert outer.parent is None


def test_labels(shell: InteractiveShell, spans: Collected) -> None:
    """What a cell says of its trace counts for that alone."""
    shell.run_cell("autotrace.update_trace(session='s-1')\nask('why')")
    shell.run_cell("ask('how')")
    sessions = [span.attributes.get("session.id") for span in spans.finished if span.name == "cell"]
    assert sessions == ["s-1", None]
